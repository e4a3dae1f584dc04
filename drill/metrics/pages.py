"""What Prometheus has stored of the instances' metrics pages: of each scrape the samples that carry its time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drill.errors import CannotMeasure
from drill.metrics.names import Names, base, implied
from drill.metrics.prometheus import PrometheusClient, Series
from drill.metrics.scrapes import Scrapes
from drill.metrics.selection import KEPT, SCRAPED, Selection
from drill.metrics.snapshot import Key, Samples, Snapshot
from drill.metrics.targets import Targets

LOOKED_AROUND_S = 300.0
"""How old samples may be that carry times of their own."""
COUNTS = ("_total", "_count", "_bucket")
CHUNK = 60
"""Samples of one series that are asked for at once: an answer has a greatest size."""

Kept = dict[str, dict[Key, list[tuple[float, float]]]]
"""``instance`` label -> series -> raw samples."""
Families = Mapping[str, Mapping[str, str]]
"""``instance`` label -> family -> type."""


@dataclass(frozen=True, slots=True)
class Page:
    """One scrape of one target; ``problem`` says why it cannot be judged by, or is empty."""

    snapshot: Snapshot
    dropped: float
    """How many samples relabelling has dropped."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Pages:
    """Asks for pages. Raises `CannotMeasure`."""

    client: PrometheusClient
    select: Selection
    names: Names

    def stored(self, targets: Targets, scrapes: Scrapes, count: int = 1) -> tuple[Kept, Families]:
        """Return what the last ``count`` of ``scrapes`` have stored, and which families the targets describe."""
        since = min(scrapes[name][-min(count, len(scrapes[name]))][0] for name in targets.labels)
        until = max(scrapes[name][-1][0] for name in targets.labels)
        stored: Kept = {}
        families = self._described(targets)
        self._add(stored, self.select.everything(targets.matcher()), since, until)
        return stored, families

    def between(self, selector: str, begin: float, end: float, interval_s: float) -> Kept:
        """Return all samples of ``selector`` between two times, asked for piece by piece."""
        kept: Kept = {}
        step = CHUNK * (interval_s or 1.0)
        since = begin
        while since < end:
            until = min(end, since + step)
            self._add(kept, selector, since, until)
            since = until
        return kept

    def page(self, label: str, at: float, stored: Kept, families: Families) -> Page:
        """Return the page of one target as the scrape at ``at`` has stored it."""
        here = {key: value for key, seen in stored.get(label, {}).items() if (value := _at(seen, at)) is not None}
        dropped = _taken(here, SCRAPED) - _taken(here, KEPT)
        registered = {**families.get(label, {}), **{name: "unknown" for key in here for name in implied(key[0])}}
        snapshot = Snapshot(label, at, registered, {key: v for key, v in here.items() if not math.isnan(v)})
        wrong = any(name.endswith(COUNTS) and not math.isfinite(value) for (name, _), value in here.items())
        if wrong:
            return Page(
                snapshot, dropped, f"metrics of {label}: a counter that is not a number; expected Prometheus metrics"
            )
        return Page(snapshot, dropped, "" if here else self._elsewhen(label, at))

    def _add(self, kept: Kept, selector: str, since: float, until: float) -> None:
        found: dict[tuple[str, Key], dict[float, float]] = {}
        for series in self.client.raw(selector, until - since, until):
            summed = found.setdefault((series.labels.get("instance", ""), self._key(series)), {})
            for at, value in series.samples:  # two spellings of one value are one series
                summed[at] = summed.get(at, 0.0) + value
        for (instance, key), summed in found.items():
            mine = kept.setdefault(instance, {}).setdefault(key, [])
            known = {at for at, _ in mine}
            mine += [(at, value) for at, value in summed.items() if at not in known]
            mine.sort()

    def _described(self, targets: Targets) -> Families:
        """Return the families that targets describe; none where the server knows no metadata (Thanos, for one).

        Then a family without samples is not known to be there, and is judged so.
        """
        found: dict[str, dict[str, str]] = {}
        try:
            for one in self.client.described(self.select.matching(targets.matcher())):
                found.setdefault(one.instance, {})[base(one.family)] = one.kind
                self.names.learn([one.family] if one.kind == "counter" else ())
        except CannotMeasure:
            return {}
        return {label: self.names.families(families) for label, families in found.items()}

    def _key(self, series: Series) -> Key:
        """Return the series by its name and labels on the service's own page: what Prometheus has added is left out."""
        labels = {label: text for label, text in series.labels.items() if label not in {"__name__", "instance", "job"}}
        return self.names.sample(series.labels.get("__name__", "")), self.names.spelled(frozenset(labels.items()))

    def _elsewhen(self, label: str, at: float) -> str:
        """Say why a scrape that went well stored nothing of ours, if it is for the service's own timestamps."""
        selector = self.select.alive(Targets({label: label}).matcher())
        found = [series.samples[-1][0] for series in self.client.raw(selector, LOOKED_AROUND_S)]
        if not found:
            return ""
        return (
            f"the newest samples of {label} are {at - max(found):.0f} s older than its newest scrape: the service "
            "exposes times of its own; set honor_timestamps: false in Prometheus"
        )


def without_vanished(last: Snapshot, earlier: Sequence[Snapshot]) -> Snapshot:
    """Return ``last`` without the families that the same process has shown before and shows no more.

    Prometheus goes on describing a family for ten scrapes after it has gone from the page.
    """
    same = [snapshot for snapshot in earlier if snapshot.start_time == last.start_time or last.start_time is None]
    gone = {name for snapshot in same for name, _ in snapshot.samples} - {name for name, _ in last.samples}
    lost = {one for name in gone for one in implied(name)}
    kept = {name: kind for name, kind in last.families.items() if name not in lost}
    return Snapshot(last.instance, last.taken, kept, last.samples)


def _taken(here: dict[Key, float], name: str) -> float:
    """Take the samples of that name out, whatever labels the target has, and return their sum."""
    return sum(here.pop(key) for key in [key for key in here if key[0] == name])


def _at(seen: Samples, at: float) -> float | None:
    return next((value for moment, value in reversed(seen) if math.isclose(moment, at, rel_tol=0, abs_tol=5e-4)), None)

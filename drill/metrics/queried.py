"""Metrics as Prometheus has kept them: raw samples at the times of its scrapes, subtracted here, never extrapolated.

A snapshot is one scrape: of every series the sample that carries the scrape's own time, so that what is gone or stale
is not there (METRICS.md, section 0 rules 4 and 5, and numbers 22 and 23).
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import ClassVar

from drill.errors import CannotMeasure
from drill.metrics.names import SUFFIXES, Names, base
from drill.metrics.prometheus import PrometheusClient, Series
from drill.metrics.scrapes import ScrapeLog, Scrapes
from drill.metrics.selection import KEPT, SCRAPED, Selection
from drill.metrics.snapshot import START_TIME, History, Key, Samples, Snapshot
from drill.metrics.targets import Targets, locate
from drill.observation import Between, Reading, SnapshotSource
from drill.record import Scalar

STALE_INTERVALS = 3
STALE_S = 5.0
"""Age from which a newest scrape is stale: in intervals, and at least so many seconds."""
MIN_INTERVALS = 4
"""Scrape intervals that a window must span (METRICS.md, number 10)."""
JITTER = 0.02
"""Share of an interval by which scrapes may be early."""
MIN_SCRAPED = 0.7
"""Share of a window's scrapes that must have succeeded; what each of them says is exact whatever misses in between."""
CHUNK = 60
"""Samples of one series that are asked for at once: an answer has a greatest size."""
LOOKED_AROUND_S = 300.0
"""How old samples may be that carry times of their own."""
COUNTED = ("_total", "_count")

Kept = Mapping[str, Mapping[Key, Samples]]
"""``instance`` label -> series -> raw samples."""


@dataclass
class PrometheusSource:
    """Reads every instance out of one Prometheus. See `MetricsSource`; nothing here raises."""

    client: PrometheusClient
    selector: str
    """Matchers that are added to every query."""
    own_names: Mapping[str, str]
    direct: SnapshotSource
    """The instances' own ``/metrics``: to see what Prometheus was told to drop."""
    tick: Callable[[str], None] = lambda _text: None
    waits: ClassVar[bool] = True

    @cached_property
    def _names(self) -> Names:
        return Names(self.own_names)

    @cached_property
    def _select(self) -> Selection:
        return Selection(self.selector, self._names.own)

    @cached_property
    def _log(self) -> ScrapeLog:
        return ScrapeLog(self.client, self._select, self.tick)

    def read(self, instances: Sequence[str], *, wait: bool = True) -> Reading:
        """Return the newest scrape of every instance; with ``wait``, one that lies wholly after this moment."""
        began = time.monotonic()
        try:
            targets, now = self._locate(instances)
            scrapes = self._log.after_now(targets) if wait else self._log.newest(targets)
            reading = self._at(targets, scrapes, math.nan if wait else now)
            return replace(reading, began=began if wait else self._log.known_since(scrapes))
        except CannotMeasure as problem:
            return _unread(instances, began, problem)

    def recent(self, instances: Sequence[str], count: int) -> list[Reading]:
        """Return what the last ``count`` scrapes have seen, oldest first."""
        began = time.monotonic()
        try:
            targets, now = self._locate(instances)
            scrapes = self._log.newest(targets)
            last = self._at(targets, scrapes, now)
            back = min(count, *(len(seen) for seen in scrapes.values()))
            cut = ({name: seen[: len(seen) - skip] for name, seen in scrapes.items()} for skip in range(1, back))
            return [last, *(self._at(targets, earlier) for earlier in cut)][::-1]
        except CannotMeasure as problem:
            return [_unread(instances, began, problem)]

    def least_watch_s(self) -> float:
        """Return how long a service is watched at least: with the waits before and after, a window that is enough."""
        return (MIN_INTERVALS - 1) * self._log.interval_s

    def between(self, first: Reading, last: Reading) -> Between:
        """Return every counter's samples from one scrape to the other, and whether there were enough scrapes."""
        names = [name for name in first.snapshots if name in last.snapshots]
        if not names:
            return Between()
        targets = Targets({name: last.snapshots[name].instance for name in names})
        begin = min(first.snapshots[name].taken for name in names)
        end = max(last.snapshots[name].taken for name in names)
        selector = self._select.counters(targets.matcher())
        query = f"{selector}[{math.ceil(1000 * (end - begin)) + 1}ms] @ {end:.3f}"
        try:
            kept = self._kept(selector, begin, end)
        except CannotMeasure as problem:
            return Between(unread=dict.fromkeys(names, str(problem)), query=query)
        history: dict[str, History] = {}
        doubts: dict[str, str] = {}
        for name, label in targets.labels.items():
            before, after = first.snapshots[name], last.snapshots[name]
            mine = {key: _inside(seen, before.taken, after.taken) for key, seen in kept.get(label, {}).items()}
            history[name] = _history(mine, before.start_time)
            if doubt := self._thin(label, mine, after.taken - before.taken):
                doubts[name] = doubt
        return Between(history, doubts=doubts, query=query)

    def _locate(self, instances: Sequence[str]) -> tuple[Targets, float]:
        """Return the targets, and Prometheus' time."""
        up = self.client.vector(self._select.up())
        targets = locate(instances, up, self._select.given)
        if not targets.labels:
            raise CannotMeasure("; ".join(dict.fromkeys(targets.missing.values())))
        return targets, max(sample.timestamp for sample in up)

    def _at(self, targets: Targets, scrapes: Scrapes, now: float = math.nan) -> Reading:
        """Read every instance as the last one of ``scrapes`` saw it; one that is stale at ``now`` is not read."""
        began = time.monotonic()
        problems = {name: self._unfit(targets.labels[name], seen, now) for name, seen in scrapes.items()}
        unread = {**targets.missing, **{name: problem for name, problem in problems.items() if problem}}
        fit = Targets({name: label for name, label in targets.labels.items() if not problems[name]})
        facts = self._facts(targets, scrapes, now)
        if not fit.labels:
            return Reading(began, time.monotonic(), {}, unread, facts=facts)
        taken = {name: scrapes[name][-1][0] for name in fit.labels}
        families, samples = self._families(fit), self._samples(fit, taken)
        snapshots: dict[str, Snapshot] = {}
        doubts: dict[str, str] = {}
        for name, label in fit.labels.items():
            here = dict(samples.get(label, {}))
            dropped = here.pop((SCRAPED, frozenset()), 0.0) - here.pop((KEPT, frozenset()), 0.0)
            if problem := _not_numbers(label, here) or ("" if here else self._elsewhen(label, taken[name])):
                unread[name] = problem
                continue
            registered = {**families.get(label, {}), **_implied(here)}
            snapshots[name] = Snapshot(label, taken[name], registered, here)
            if dropped > 0 and (doubt := self._missing(name, snapshots[name], dropped)):
                doubts[name] = doubt
        return Reading(began, time.monotonic(), snapshots, unread, doubts, facts)

    def _unfit(self, label: str, seen: Samples, now: float) -> str:
        if not seen:
            return f"Prometheus has not scraped {label} lately: it stands still, or does not scrape any more"
        at, up = seen[-1]
        if now - at > max(STALE_INTERVALS * self._log.interval_s, STALE_S):
            return f"Prometheus scraped {label} last {now - at:.0f} s ago: it does not scrape it any more"
        return "" if up == 1 else f"Prometheus cannot scrape {label}: up = 0 at its newest scrape, see its targets"

    def _facts(self, targets: Targets, scrapes: Scrapes, now: float) -> dict[str, Scalar]:
        facts: dict[str, Scalar] = {"Prometheus targets": len(targets.labels)}
        facts["scrape interval s"] = self._log.interval_s or None
        if math.isfinite(now):
            ages = [now - seen[-1][0] for seen in scrapes.values() if seen]
            facts["age of the newest sample s"] = round(max(ages), 3) if ages else None
            facts["Prometheus' clock minus this machine's s"] = round(now - time.time(), 1)
        return facts

    def _families(self, targets: Targets) -> dict[str, dict[str, str]]:
        """Return the families that targets describe; empty where the server knows no metadata (Thanos, for one).

        Then a family without samples is not known to be there, and is judged so.
        """
        found: dict[str, dict[str, str]] = {}
        try:
            for one in self.client.described(self._select.matching(targets.matcher())):
                found.setdefault(one.instance, {})[base(one.family)] = one.kind
        except CannotMeasure:
            return {}
        return {label: dict(self._names.families(families)) for label, families in found.items()}

    def _samples(self, targets: Targets, taken: Mapping[str, float]) -> dict[str, dict[Key, float]]:
        """Return the samples that carry exactly the time of each target's scrape."""
        at = {targets.labels[name]: moment for name, moment in taken.items()}
        last = max(taken.values())
        found: dict[str, dict[Key, float]] = {}
        for series in self.client.raw(self._select.everything(targets.matcher()), last - min(taken.values()), last):
            label = series.labels.get("instance", "")
            for moment, value in series.samples:
                if math.isclose(moment, at[label], rel_tol=0, abs_tol=5e-4) and not math.isnan(value):
                    found.setdefault(label, {})[self._key(series)] = value
        return found

    def _kept(self, selector: str, begin: float, end: float) -> dict[str, dict[Key, list[tuple[float, float]]]]:
        """Return all samples between two times, asked for piece by piece."""
        kept: dict[str, dict[Key, list[tuple[float, float]]]] = {}
        step = CHUNK * (self._log.interval_s or 1.0)
        since = begin
        while since < end:
            until = min(end, since + step)
            for series in self.client.raw(selector, until - since, until):
                mine = kept.setdefault(series.labels.get("instance", ""), {}).setdefault(self._key(series), [])
                newest = mine[-1][0] if mine else -math.inf
                mine += [(at, value) for at, value in series.samples if at > newest and math.isfinite(value)]
            since = until
        return kept

    def _key(self, series: Series) -> Key:
        """Return the series by its name and labels on the service's own page: what Prometheus has added is left out."""
        labels = {label: text for label, text in series.labels.items() if label not in {"__name__", "instance", "job"}}
        return self._names.sample(series.labels.get("__name__", "")), frozenset(labels.items())

    def _elsewhen(self, label: str, at: float) -> str:
        """Say why a scrape that went well brought nothing of ours, if it is for the service's own timestamps."""
        selector = self._select.alive(Targets({label: label}).matcher())
        found = [series.samples[-1][0] for series in self.client.raw(selector, LOOKED_AROUND_S)]
        if not found:
            return ""
        return (
            f"the newest samples of {label} are {at - max(found):.0f} s older than their scrape: the service exposes "
            "times of its own; set honor_timestamps: false in Prometheus"
        )

    def _missing(self, name: str, seen: Snapshot, dropped: float) -> str:
        """Say which series that are judged Prometheus was told to drop, by a look at the page itself."""
        drops = f"Prometheus drops {dropped:g} samples of each scrape of {seen.instance} (metric_relabel_configs)"
        try:
            page = self.direct.snapshot(name)
        except CannotMeasure:
            return f"{drops}, and its page could not be read to see which"
        ours = {sample for sample, _ in page.samples if sample.startswith(("retrieval_", "http_requests", START_TIME))}
        lost = ours - {sample for sample, _ in seen.samples}
        families = sorted({_family(sample) for sample in lost})
        return f"{drops}, among them {', '.join(families)}" if lost else ""

    def _thin(self, label: str, mine: Mapping[Key, Samples], seconds: float) -> str:
        """Say why a window has too few scrapes to be judged by."""
        scrapes = next((seen for (name, _), seen in mine.items() if name == "up"), ())
        gaps = [b - a for (a, _), (b, _) in pairwise(scrapes)]
        interval = median(gaps) if gaps else self._log.interval_s
        if seconds < (MIN_INTERVALS - JITTER) * interval or not interval:
            need = math.ceil(MIN_INTERVALS * round(interval, 1))
            return (
                f"a window of {seconds:.0f} s holds fewer than {MIN_INTERVALS} scrapes of {label}, one in "
                f"{interval:.0f} s: set [slo] observe_s to {need} or more"
            )
        good, due = sum(up == 1 for _, up in scrapes), seconds / interval
        return f"only {good} of {due:.0f} scrapes of {label} succeeded" if good < MIN_SCRAPED * due else ""


def _unread(instances: Sequence[str], began: float, problem: CannotMeasure) -> Reading:
    return Reading(began, time.monotonic(), {}, dict.fromkeys(instances, str(problem)))


def _inside(seen: Samples, since: float, until: float) -> Samples:
    return [(at, value) for at, value in seen if since + 5e-4 < at <= until + 5e-4]


def _history(mine: Mapping[Key, Samples], start: float | None) -> History:
    """Return the counters, and when another process was first seen: only changed values are compared (number 7)."""
    starts = next((seen for (name, _), seen in mine.items() if name == START_TIME), ())
    seen_since = [(0.0, start), *starts] if start is not None else list(starts)
    reborn = [at for (_, old), (at, new) in pairwise(seen_since) if new != old]
    return History({key: seen for key, seen in mine.items() if key[0].endswith(COUNTED) and seen}, reborn)


def _not_numbers(label: str, here: Mapping[Key, float]) -> str:
    wrong = any(name.endswith((*COUNTED, "_bucket")) and not math.isfinite(value) for (name, _), value in here.items())
    return f"metrics of {label}: a counter that is not a number; expected Prometheus metrics" if wrong else ""


def _implied(here: Mapping[Key, float]) -> dict[str, str]:
    return {family: "unknown" for name, _ in here for family in (base(name), _family(name))}


def _family(sample: str) -> str:
    return sample.removesuffix(next(suffix for suffix in SUFFIXES if sample.endswith(suffix)))

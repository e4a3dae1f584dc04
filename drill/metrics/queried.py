"""Metrics as Prometheus has kept them: raw samples at the times of its scrapes, subtracted here, never extrapolated.

A snapshot is one scrape, so that what is gone or stale is not there (METRICS.md, section 0 rules 4 and 5, and numbers
22 and 23).
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import ClassVar

from drill.config import Values
from drill.errors import CannotMeasure
from drill.metrics.look import doubt, look
from drill.metrics.names import Names
from drill.metrics.pages import Families, Kept, Page, Pages, without_vanished
from drill.metrics.prometheus import PrometheusClient, Sample
from drill.metrics.scrapes import LOOK_BACK_S, ScrapeLog, Scrapes
from drill.metrics.selection import Selection
from drill.metrics.snapshot import START_TIME, History, Key, Samples
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
MIN_SCRAPED = 0.5
"""Share of a window's scrapes that must have succeeded; what each of them says is exact whatever misses in between."""
REMEMBERED = 12
"""Scrapes that are looked at for families that have gone: Prometheus describes them for ten more."""
COUNTED = ("_total", "_count")


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
    values: Values | None = None
    """What the service calls values of its labels."""
    waits: ClassVar[bool] = True
    _unseen: set[str] = field(default_factory=set, init=False)
    """Instances whose own pages cannot be read from here."""

    @cached_property
    def _pages(self) -> Pages:
        names = Names(self.own_names, self.values)
        return Pages(self.client, Selection(self.selector, names.own), names)

    @cached_property
    def _log(self) -> ScrapeLog:
        return ScrapeLog(self.client, self._pages.select, self.tick)

    def read(self, instances: Sequence[str], *, wait: bool = True) -> Reading:
        """Return the newest scrape of every instance; with ``wait``, one that lies wholly after this moment."""
        began = time.monotonic()
        try:
            targets, now = self._locate(instances)
            scrapes = self._log.after_now(targets) if wait else self._log.newest(targets)
            (reading,) = self._readings(targets, scrapes, 1, math.nan if wait else now, look_at=wait)
            return replace(reading, began=began if wait else self._log.known_since(scrapes))
        except CannotMeasure as problem:
            return _unread(instances, began, problem)

    def recent(self, instances: Sequence[str], count: int) -> list[Reading]:
        """Return what the last ``count`` scrapes have seen, oldest first."""
        began = time.monotonic()
        try:
            targets, now = self._locate(instances)
            readings = self._readings(targets, self._log.newest(targets), REMEMBERED, now, look_at=True)
        except CannotMeasure as problem:
            return [_unread(instances, began, problem)]
        *earlier, last = readings
        seen = {name: [one.snapshots[name] for one in earlier if name in one.snapshots] for name in last.snapshots}
        whole = {
            name: snapshot if name in last.doubts else without_vanished(snapshot, seen[name])
            for name, snapshot in last.snapshots.items()
        }
        return [*earlier[-count + 1 :], replace(last, snapshots=whole)]

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
        selector = self._pages.select.counters(targets.matcher())
        query = f"{selector}[{math.ceil(1000 * (end - begin)) + 1}ms] @ {end:.3f}"
        try:
            kept = self._pages.between(selector, begin, end, self._log.interval_s)
        except CannotMeasure as problem:
            return Between(unread=dict.fromkeys(names, str(problem)), query=query)
        history: dict[str, History] = {}
        doubts: dict[str, str] = {}
        for name, label in targets.labels.items():
            before, after = first.snapshots[name], last.snapshots[name]
            mine = {key: _inside(seen, before.taken, after.taken) for key, seen in kept.get(label, {}).items()}
            history[name] = _history(mine, before.start_time)
            if thin := self._thin(label, mine, after.taken - before.taken):
                doubts[name] = thin
        return Between(history, doubts=doubts, query=query)

    def _locate(self, instances: Sequence[str]) -> tuple[Targets, float]:
        """Return the targets, and Prometheus' time."""
        up = self.client.vector(self._pages.select.up())
        now = max((sample.timestamp for sample in up), default=0.0)
        targets = locate(instances, self._without_remains(up, now), self._pages.select.given)
        if not targets.labels:
            raise CannotMeasure("; ".join(dict.fromkeys(targets.missing.values())))
        return targets, now

    def _without_remains(self, up: Sequence[Sample], now: float) -> list[Sample]:
        """Return the targets without those that are scraped no more, where another one has their name.

        A job that is removed leaves no mark of its end, and is found for five minutes more.
        """
        counted = Counter(sample.labels.get("instance", "") for sample in up)
        twice = {label: label for label, count in counted.items() if count > 1}
        if not twice:
            return list(up)
        found = self.client.raw(self._pages.select.up(Targets(twice).matcher()), LOOK_BACK_S)
        gone = [series.labels for series in found if _stopped(series.samples, now)]
        return [sample for sample in up if sample.labels not in gone]

    def _readings(self, targets: Targets, scrapes: Scrapes, count: int, now: float, *, look_at: bool) -> list[Reading]:
        """Read every instance as each of the last ``count`` scrapes saw it; what is stale at ``now`` is not read.

        With ``look_at`` the instances' own pages are looked at too, for what the last scrape does not show.
        """
        known = Targets({name: label for name, label in targets.labels.items() if scrapes[name]})
        back = min(count, *(len(scrapes[name]) for name in known.labels)) if known.labels else 1
        stored, families = self._pages.stored(known, scrapes, back) if known.labels else ({}, {})
        last = self._looked_at(self._at(targets, scrapes, stored, families, now), always=look_at)
        cut = ({name: seen[: len(seen) - skip] for name, seen in scrapes.items()} for skip in range(1, back))
        earlier = [self._at(targets, one, stored, families, math.nan)[0] for one in cut]
        return [last, *earlier][::-1]

    def _looked_at(self, read: tuple[Reading, Mapping[str, Page]], *, always: bool) -> Reading:
        """Add what the pages themselves show; one that could not be read is not tried again in vain."""
        from drill.service import each

        reading, pages = read
        names = [name for name, page in pages.items() if page.dropped > 0 or (always and name not in self._unseen)]
        found = dict(zip(names, each(lambda name: look(self.direct, name), names), strict=True))
        self._unseen |= {name for name, seen in found.items() if type(seen) is CannotMeasure}
        doubts = {name: text for name, seen in found.items() if (text := doubt(pages[name], seen))}
        return replace(reading, doubts=doubts)

    def _at(
        self, targets: Targets, scrapes: Scrapes, stored: Kept, families: Families, now: float
    ) -> tuple[Reading, Mapping[str, Page]]:
        began = time.monotonic()
        unread = dict(targets.missing)
        pages: dict[str, Page] = {}
        for name, label in targets.labels.items():
            if problem := self._unfit(label, scrapes[name], now):
                unread[name] = problem
                continue
            page = self._pages.page(label, scrapes[name][-1][0], stored, families)
            if page.problem:
                unread[name] = page.problem
                continue
            pages[name] = page
        snapshots = {name: page.snapshot for name, page in pages.items()}
        facts = self._facts(targets, scrapes, now)
        return Reading(began, time.monotonic(), snapshots, unread, facts=facts), pages

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


def _stopped(seen: Samples, now: float) -> bool:
    gaps = [b - a for (a, _), (b, _) in pairwise(seen)]
    return now - seen[-1][0] > max(STALE_INTERVALS * median(gaps), STALE_S) if gaps else False


def _inside(seen: Samples, since: float, until: float) -> Samples:
    return [(at, value) for at, value in seen if since + 5e-4 < at <= until + 5e-4 and math.isfinite(value)]


def _history(mine: Mapping[Key, Samples], start: float | None) -> History:
    """Return the counters, and when another process was first seen: only changed values are compared (number 7)."""
    starts = next((seen for (name, _), seen in mine.items() if name == START_TIME), ())
    seen_since = [(0.0, start), *starts] if start is not None else list(starts)
    reborn = [at for (_, old), (at, new) in pairwise(seen_since) if new != old]
    return History({key: seen for key, seen in mine.items() if key[0].endswith(COUNTED) and seen}, reborn)

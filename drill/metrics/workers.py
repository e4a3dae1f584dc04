"""Several workers behind one port that share one page of metrics, told apart by what each says of itself.

A page that is summed over workers (``PROMETHEUS_MULTIPROC_DIR``) has no start of a process, and its counters outlive a
restart. So restarts are seen by who answers: each worker names itself in a header or in the JSON of its health answer
(``[service] worker_id``), and is asked on new connections, several at a time, because one idle worker may take all that
come one by one. How likely another one was missed is said, for workers that are met equally often.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from drill.errors import CannotMeasure
from drill.http import Reply
from drill.metrics.snapshot import Snapshot
from drill.observation import Between, MetricsSource, Reading, SnapshotSource
from drill.words import count

AT_ONCE = 8
"""Requests that are under way together."""
SURE = 0.001
"""Workers are asked for until another one would be missed no more often than this."""
MOST = 128
"""Requests after which it is left at that."""
UNSURE = 0.05
"""Missing another worker more often than this is a doubt."""
SHOWN = 12
"""Identities that are shown."""
GLANCE = 4
"""Requests of a reading that does not wait."""
PAGES = 6
"""Pages that are read together, twice, to see that they are one page."""
Identify = Callable[[str], str]
"""Asks the instance at a URL, on a new connection, and returns who answered. Raises `CannotMeasure`."""


def missed(met: int, asked: int) -> float:
    """Return the probability that ``asked`` requests met only ``met`` of one worker more."""
    return (1 - 1 / (met + 1)) ** asked


@dataclass(frozen=True, slots=True)
class Met:
    """Who answered at one address."""

    ids: frozenset[str]
    asked: int

    @property
    def chance(self) -> float:
        """How likely it is that one worker more was missed."""
        return missed(len(self.ids), self.asked)

    def __str__(self) -> str:
        names = ", ".join(sorted(self.ids)[:SHOWN])
        asked = count(self.asked, "request")
        return f"{len(self.ids)} met in {asked}, another one is missed with {self.chance:.2g} ({names})"


@dataclass(frozen=True, slots=True)
class WorkerSource:
    """Another source's readings, with the workers of each instance. See `MetricsSource`."""

    inner: MetricsSource
    identify: Identify
    direct: SnapshotSource

    @property
    def waits(self) -> bool:
        """Whether the other source waits."""
        return self.inner.waits

    def read(self, instances: Sequence[str], *, wait: bool = True) -> Reading:
        """Read every instance, and meet its workers; without ``wait`` only a few of them."""
        return self._with_workers(self.inner.read(instances, wait=wait), instances, thorough=wait)

    def recent(self, instances: Sequence[str], count: int) -> list[Reading]:
        """Return the other source's readings, the last one with the workers."""
        *earlier, last = self.inner.recent(instances, count)
        return [*earlier, self._with_workers(last, instances, thorough=True)]

    def between(self, first: Reading, last: Reading) -> Between:
        """Return what the other source knows of it."""
        return self.inner.between(first, last)

    def least_watch_s(self) -> float:
        """Return what the other source needs."""
        return self.inner.least_watch_s()

    def _with_workers(self, reading: Reading, instances: Sequence[str], *, thorough: bool) -> Reading:
        from drill.service import each

        names = [name for name in instances if name in reading.snapshots]
        found = dict(zip(names, each(lambda name: self._meet(name, thorough=thorough), names), strict=True))
        met = {name: one for name, one in found.items() if isinstance(one, Met)}
        doubts = {name: str(one) for name, one in found.items() if isinstance(one, CannotMeasure)}
        doubts |= {name: text for name, one in met.items() if thorough and (text := self._doubt(reading, name, one))}
        known = {name: replace(reading.snapshots[name], workers=one.ids) for name, one in met.items()}
        facts = {f"workers of {name.partition('://')[2]}": str(one) for name, one in met.items()}
        return replace(
            reading,
            snapshots={**reading.snapshots, **known},
            doubts={**reading.doubts, **doubts},
            facts={**reading.facts, **facts},
        )

    def _meet(self, url: str, *, thorough: bool) -> Met | CannotMeasure:
        """Ask who answers, until nobody is likely to have been missed."""
        from drill.service import each

        ids: set[str] = set()
        asked = 0
        try:
            while True:
                burst = each(self.identify, [url] * (AT_ONCE if thorough else GLANCE))
                ids.update(burst)
                asked += len(burst)
                if not thorough or missed(len(ids), asked) <= SURE or asked >= MOST:
                    return Met(frozenset(ids), asked)
        except CannotMeasure as problem:
            return problem

    def _doubt(self, reading: Reading, name: str, met: Met) -> str:
        if met.chance > UNSURE:
            return f"{name}: {met}: too many workers to be met again"
        if reading.snapshots[name].start_time is None and len(met.ids) > 1 and not self._is_one_page(name):
            return f"{name}: counters of its page go down from one reading to the next: each worker shows its own"
        return ""

    def _is_one_page(self, name: str) -> bool:
        """Whether whoever answers shows the same page: nothing that was read counts less than what was read before.

        Where the page cannot be read from here, the probes that it must count are all there is.
        """
        from drill.service import each

        try:
            earlier, later = (each(self.direct.snapshot, [name] * PAGES) for _ in range(2))
        except CannotMeasure:
            return True
        return max(map(_counted, earlier)) <= min(map(_counted, later))


def _counted(page: Snapshot) -> float:
    return sum(value for (name, _), value in page.samples.items() if name.endswith(("_total", "_count")))


def named_by(worker_id: str, ask: Callable[[str], Reply]) -> Identify:
    """Return how the answer to ``ask`` names who gave it: ``header:NAME``, or ``json:PATH`` (JMESPath)."""
    kind, _, where = worker_id.partition(":")

    def identify(url: str) -> str:
        reply = ask(url)
        found = reply.headers.get(where.lower(), "") if kind == "header" else _in_json(reply, where)
        if not found:
            raise CannotMeasure(
                f"{url.partition('://')[2]}: its health answer ({reply.seen()}) does not say which worker gave it; "
                f"check [service] worker_id, {kind}:{where}"
            )
        return found

    return identify


def _in_json(reply: Reply, path: str) -> str:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        found = jmespath.search(path, reply.json())
    except JMESPathError:
        return ""  # a path that does not fit this answer
    return str(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else ""


def worker_id_problem(worker_id: str) -> str:
    """Return what is wrong with ``[service] worker_id``, empty if nothing is."""
    import re

    import jmespath
    from jmespath.exceptions import JMESPathError

    kind, _, where = worker_id.partition(":")
    expected = 'expected "header:NAME" or "json:PATH", such as "header:X-Worker" or "json:pid"'
    if kind == "header":
        return "" if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", where) else expected
    try:
        return "" if kind == "json" and jmespath.compile(where) else expected
    except JMESPathError:
        return expected

"""Counters that must not move: judged per instance, and only while something that must move does."""

from collections.abc import Callable, Iterable, Mapping

from drill.metrics.snapshot import START_TIME, Delta
from drill.observation import Window
from drill.record import Evidence, Scalar
from drill.verdict import Verdict
from drill.words import count

Growth = Callable[[Delta], Mapping[str, float]]
"""Reads from one instance's delta: what moved that must not (description -> growth)."""


def short(instance: str) -> str:
    """Return an instance's URL as it is shown."""
    return instance.split("://", 1)[-1]


def judge_silence(
    window: Window, families: Iterable[str], growth: Growth, *, what: str, since_boot: bool = True, limit: float = 0.0
) -> Evidence:
    """Judge that nothing of ``growth`` moved by more than ``limit`` on any instance.

    A movement that was seen is a fail even on partial data. A pass needs every instance read twice, every family of
    ``families`` registered there, one process throughout, and the drill's own probes counted by the same metrics
    (METRICS.md, section 0 rules 1 and 2).
    """
    deltas = window.since_boot if since_boot else window.deltas
    moved = {
        f"{short(name)} {series}": value
        for name, delta in deltas.items()
        for series, value in growth(delta).items()
        if not value <= limit
    }
    detail: dict[str, Scalar] = {f"probes {short(name)}": window.probes[name] for name in deltas}
    samples = window.probes.total()
    measured = Evidence(
        Verdict.NOT_RUN,
        "",
        sum(moved.values()),
        "<=",
        limit,
        samples,
        window.seconds,
        detail={**detail, **moved, **window.asked},
    )
    if moved:
        seen = ", ".join(f"{name} +{value:g}" for name, value in sorted(moved.items()))
        return measured.judged(Verdict.FAIL, f"{what} moved: {seen}")
    verdict, doubt = doubts(window, families)
    if doubt:
        return measured.judged(verdict, f"{what}: {doubt}")
    where = count(len(deltas), "instance")
    if known := window.last.behind_one_address:
        where = f"the one process that was met ({known})"
    return measured.judged(Verdict.PASS, f"{what} silent on {where}")


_UNSEEN = (
    f"{{}} does not expose {START_TIME}: a restart would not be seen; "
    "where several workers share its page, let each name itself ([service] worker_id)"
)


def doubts(window: Window, families: Iterable[str]) -> tuple[Verdict, str]:
    """Return why silence in this window would prove nothing; an empty text if it does prove something."""
    if (known := _source_doubts(window))[1]:
        return known
    for name, delta in window.deltas.items():
        missing = [family for family in families if not delta.after.has(family)]
        if missing:
            return (
                Verdict.INCONCLUSIVE,
                f"{short(name)} does not expose {', '.join(missing)}: silence cannot be told from absence",
            )
        if delta.after.start_time is None and not (delta.before.workers and delta.after.workers):
            return Verdict.INCONCLUSIVE, _UNSEEN.format(short(name))
        if delta.restarted:
            return Verdict.INCONCLUSIVE, f"{short(name)} restarted by itself inside the window"
        if window.probes[name] == 0:
            return Verdict.INCONCLUSIVE, f"{short(name)} answered no probe in the window"
        counted = delta.growth("retrieval_requests_total")
        if counted < window.probes[name]:
            seen = f"counts {count(counted, 'request')} for {count(window.probes[name], 'probe')} answered"
            return Verdict.INCONCLUSIVE, f"{short(name)} {seen}: its metrics are frozen, cached or per worker"
    return Verdict.PASS, ""


def _source_doubts(window: Window) -> tuple[Verdict, str]:
    """Return why the source itself cannot vouch for the window; an empty text if it does."""
    if window.unread:
        return Verdict.ERROR, "; ".join(dict.fromkeys(window.unread.values()))
    if not window.deltas:
        return Verdict.ERROR, "no instance could be read"
    return Verdict.INCONCLUSIVE, "; ".join(dict.fromkeys(window.doubts.values()))

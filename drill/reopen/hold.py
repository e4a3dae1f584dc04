"""Standing on a rung: long enough, with enough requests, judged in the middle already."""

from dataclasses import replace

from drill.context import Drill
from drill.load import most_probes_per_s
from drill.observation import Reading
from drill.record import Evidence
from drill.reopen.judge import RungJudge
from drill.reopen.rungs import Rung
from drill.reopen.shadow import MIN_SAMPLES
from drill.reopen.writes import WritesReached
from drill.steps.witness import WriteWitness
from drill.verdict import Verdict

ENOUGH = 2
"""Shadow reads per instance that are aimed at, as a multiple of what a judgement needs."""


class Hold:
    """One rung that is held; judged again, it is held on, and all that was seen counts."""

    def __init__(self, drill: Drill, rung: Rung, baseline_ms: list[float]) -> None:
        """Begin to count where the service has settled on the rung."""
        self._drill = drill
        self._rung = rung
        self._judge = RungJudge(drill, rung, baseline_ms)
        self._writes = WritesReached(drill, rung) if rung.dual_write else WriteWitness(drill, rung.off)
        self._writes.begin()
        self._first = drill.settled or drill.rebase(drill.read_metrics())
        self._last: Reading = self._first
        self._turn = 0

    def judge(self) -> Evidence:
        """Hold for ``hold_s`` (again), and judge what was seen since the rung was taken."""
        drill = self._drill
        middle = self._gather(0.5)
        early = self._judge.early(drill.between(self._last, middle))
        if early.verdict is Verdict.FAIL:
            return replace(early, reason=f"in the first half of the hold: {early.reason}")
        last = self._gather(1.0)
        evidence = self._judge.whole(drill.between(self._first, last), drill.between(middle, last), self._writes)
        self._last = last
        self._turn += 1
        return evidence

    def end(self) -> list[str]:
        """Take back what the drill itself has written; return what is left of it, in words."""
        return self._writes.end()

    def _gather(self, share: float) -> Reading:
        drill, hold_s = self._drill, self._drill.config.reopen.hold_s
        drill.gather(hold_s * (self._turn + share), self._probes(hold_s) * (self._turn + share), self._rung.name)
        return drill.read_metrics()

    def _probes(self, hold_s: float) -> float:
        """Return how many probes a hold takes: enough shadow reads without any user, as far as the time allows."""
        wished = max(self._drill.config.slo.min_requests, probes_for(self._drill, self._rung, ENOUGH * MIN_SAMPLES))
        return min(wished, most_probes_per_s(self._drill.config) * hold_s)


def probes_for(drill: Drill, rung: Rung, reads: int) -> float:
    """Return how many probes make ``reads`` shadow reads on every instance without any user; 0: shadow-read is off."""
    asked = [tenant for tenant, _ in drill.queries]
    share = sum(tenant in rung.tenants for tenant in asked) / len(asked) * rung.shadow_rate
    return reads * len(drill.service.instances) / share if share else 0.0

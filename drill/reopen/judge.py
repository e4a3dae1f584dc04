"""Whether one rung holds: everything that must be so while the service stands on it, the worst of it first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from drill.checks import slo
from drill.checks.alerts import alerts
from drill.checks.flags import judge_backend, judge_dual_write, judge_shadow
from drill.checks.post import judge_circuit, target_errors
from drill.checks.silence import short
from drill.context import Drill
from drill.errors import CannotMeasure
from drill.observation import Window
from drill.proof.flags import Flag
from drill.proof.spoken import ask
from drill.record import Evidence, Scalar
from drill.reopen.latency import not_slower
from drill.reopen.rungs import Rung
from drill.reopen.shadow import judge_shadow_reads
from drill.reopen.writes import WritesReached
from drill.steps.witness import WriteWitness
from drill.verdict import Verdict

Part = tuple[str, Evidence]


@dataclass
class RungJudge:
    """Judges one rung. ``baseline_ms`` are the latencies of the probes before the ladder."""

    drill: Drill
    rung: Rung
    baseline_ms: list[float] = field(default_factory=list)

    def early(self, window: Window) -> Evidence:
        """Judge the first half of a hold: only what is bad already counts, the rest may lack samples."""
        return self._worst(self._parts(window))

    def whole(self, window: Window, second_half: Window, writes: WritesReached | WriteWitness) -> Evidence:
        """Judge a hold. What is bad in its second half alone is bad: an average would hide a rung that turns."""
        late = self._worst(self._parts(second_half))
        if late.verdict is Verdict.FAIL:
            return late.judged(Verdict.FAIL, f"in the second half of the hold: {late.reason}")
        parts = [*self._parts(window), *self._once(window)]
        if isinstance(writes, WritesReached):
            parts.append(("writes", writes.judge()))
        else:
            parts.append(("dual-write", writes.judge(judge_dual_write(self.drill, window), window)))
        return self._worst(parts)

    def _parts(self, window: Window) -> Iterator[Part]:
        """Yield what is judged of any window on this rung."""
        drill, config = self.drill, self.drill.config
        yield "backend", _seen(judge_backend, drill, window)
        if self.rung.shadow_rate:
            yield from judge_shadow_reads(config, self.rung, window)
        else:
            yield "shadow", _seen(judge_shadow, drill, window)
        yield "target errors", _seen(target_errors, drill, window)
        proof = drill.record.entries["disable_dual_write"].evidence.proof if Flag.DUAL_WRITE in self.rung.off else ""
        yield "circuit and outbox", _seen(partial(judge_circuit, proof=proof), drill, window)
        yield "errors", _seen(slo.errors, drill, window)
        yield "latency", _seen(slo.latency, drill, window)

    def _once(self, window: Window) -> Iterator[Part]:
        """Yield what is judged of a whole hold only."""
        yield "flags", self._said()
        yield "latency change", not_slower(self.drill, window, self.baseline_ms)
        if self.drill.config.slo.alerts:
            yield "alerts", _seen(alerts, self.drill, window)

    def _said(self) -> Evidence:
        """Judge that no process says of a flag that it is otherwise than on this rung."""
        against = [
            f"{short(url)} {flag.key}"
            for url, one in ask(self.drill).items()
            for flag, back in one.rolled_back.items()
            if back is not (flag in self.rung.off)
        ]
        if against:
            return Evidence(Verdict.FAIL, f"the processes say otherwise: {', '.join(against)}")
        return Evidence(Verdict.PASS, "no process says otherwise")

    @staticmethod
    def _worst(parts: Iterator[Part] | list[Part]) -> Evidence:
        found = list(parts)
        name, worst = max(found, key=lambda part: part[1].verdict.rank)
        detail: dict[str, Scalar] = {part: f"{one.verdict}: {one.numbers() or one.reason}" for part, one in found}
        reason = "; ".join(one.reason for _, one in found if one.verdict is worst.verdict and one.reason)
        if worst.verdict is Verdict.PASS:
            name, reason = "", f"holds: {'; '.join(one.reason for part, one in found if part in _TOLD)}"
        lead = f"{name}: " if name else ""
        return Evidence(
            worst.verdict,
            lead + reason,
            worst.value,
            worst.op,
            worst.threshold,
            worst.samples,
            worst.window_s,
            worst.unit,
            detail,
        )


_TOLD = ("sampled", "agreement@5", "nDCG@10", "writes", "dual-write")


def _seen(judge: Callable[[Drill, Window], Evidence], drill: Drill, window: Window) -> Evidence:
    try:
        return judge(drill, window)
    except CannotMeasure as problem:
        return Evidence(Verdict.ERROR, str(problem))

"""Climbing the ladder: write a rung, restart, hold, judge; fall back by itself and prove that too."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from drill.checks.environment_kept import not_as_left
from drill.checks.flags import judge_backend, judge_dual_write
from drill.comeback import Comeback
from drill.context import Drill
from drill.envfile import EnvWriteFailed
from drill.errors import Refused
from drill.observation import Reading, Window
from drill.proof.judge import prove_shadow
from drill.record import Evidence, RungRecord, Scalar
from drill.reopen.hold import Hold, probes_for
from drill.reopen.latency import probe_latencies_ms
from drill.reopen.rungs import Rung, bottom
from drill.reopen.shadow import judge_shadow_reads
from drill.rollback import PROOF_PROBES, PROOF_S, settle
from drill.signals import held_back
from drill.steps.witness import WriteWitness
from drill.trace import MarkKind
from drill.unfinished import RELOAD
from drill.verdict import Verdict, worst

PROOF_READS = 15
"""Shadow reads per instance that prove a rung which was fallen back to."""
HOLDS = 2
"""A hold that proves nothing either way is held once more."""


@dataclass
class Ladder:
    """The ladder of one drill; it remembers the last rung that held."""

    drill: Drill
    good: Rung = field(init=False)
    stopped: str = ""
    """Why no further rung is climbed; empty: none has failed."""
    _restarts: bool = field(init=False)
    """Whether a reload is one by a restart, as far as this drill has seen: only then is one waited for."""
    _baseline_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin at the bottom, with the latency of the rolled-back service to compare with."""
        self.good = self._lowest
        drill = self.drill
        restarted = drill.reload_began is None or bool(drill.new_processes)
        self._restarts = bool(drill.config.service.reload_command) and restarted
        if self.drill.observed is not None:
            self._baseline_ms = probe_latencies_ms(self.drill, self.drill.observed)

    @property
    def _lowest(self) -> Rung:
        return bottom(self.drill.config, self.drill.env_values)

    def climb(self, rungs: Sequence[Rung]) -> Evidence:
        """Climb ``rungs``, at least one, one after the other; stop at the first that does not hold."""
        seen: list[tuple[Rung, Evidence]] = []
        for rung in rungs:
            began = time.monotonic()
            if shut := self.shut():
                seen.append((rung, Evidence(Verdict.INCONCLUSIVE, f"not taken: {shut}; the service stays as it is")))
                self.stopped = f"{rung.name}: {shut}"
                break
            evidence = self._try(rung)
            seen.append((rung, evidence))
            changes = {key: value for key, value in rung.wanted.items() if self.good.wanted.get(key) != value}
            record = RungRecord(rung.name, changes, evidence, time.monotonic() - began)
            self.drill.record.rungs.append(record)
            if evidence.verdict is Verdict.PASS:
                self.good = rung
                continue
            self.stopped = f"{rung.name}: {evidence.reason}"
            break
        return _together(seen)

    def shut(self) -> str:
        """Say why the service must not go further towards the target now; empty if it may."""
        try:
            self.drill.gates.rung()
        except Refused as shut:
            return str(shut)
        return ""

    def _try(self, rung: Rung) -> Evidence:
        """Take a rung and hold it. Whatever goes wrong on it, the service does not stay there unproven."""
        try:
            return self._stand(rung)
        except (Refused, EnvWriteFailed) as failure:
            return self._fall_back(Evidence(Verdict.FAIL, str(failure)))
        except Exception:
            self._fall_back(Evidence(Verdict.ERROR, "the drill itself failed"))
            raise

    def _stand(self, rung: Rung) -> Evidence:
        if moved := not_as_left(self.drill):
            return self._fall_back(Evidence(Verdict.FAIL, moved))
        if problem := self._take(rung):
            return self._fall_back(Evidence(Verdict.FAIL, f"the service did not take it: {problem}"))
        hold = Hold(self.drill, rung, self._baseline_ms)
        try:
            evidence = _held(hold)
        finally:
            left = hold.end()
        evidence = replace(evidence, reason="; ".join((evidence.reason, *left)))
        if evidence.verdict is Verdict.FAIL:
            return self._fall_back(evidence)
        if evidence.verdict is Verdict.PASS:
            return evidence
        back = f"held twice without proof; the service stays on {rung.name}: run the drill without --reopen to go back"
        return replace(evidence, reason=f"{evidence.reason}; {back}")

    def _take(self, rung: Rung) -> str:
        """Write the rung and restart the service with it; return what is wrong, empty if nothing is."""
        drill = self.drill
        drill.tick(f"{rung.name}: writing the env file")
        plan = drill.env_file.plan(rung.wanted)
        before = drill.read_metrics()
        well = {health.instance: health.ok for health in drill.service.health() if health.ok or health.down}
        if not plan.unchanged:
            with held_back():
                drill.events.intent("set_flags", **{change.key: change.after for change in plan.changes})
                drill.record.flags_written = True
                drill.env_file.apply(plan)
                drill.record.changes |= {change.key: change.after for change in plan.changes}
                drill.events.done("set_flags", keys=len(plan.changes))
        else:
            drill.env_file.apply(plan)  # writes nothing: what is there is what is wanted from here on
        if moved := not_as_left(drill):
            return moved
        drill.events.intent(RELOAD)
        with drill.trace.during(MarkKind.RELOAD, rung.name):
            problem = self._reload(before, well)
        drill.events.done(RELOAD, ok=not problem)
        if not problem:
            settle(drill, before)
        return problem

    def _reload(self, before: Reading, well: Mapping[str, bool]) -> str:
        """Make the service take the rung; return who is down that was ``well`` before, or how the command failed."""
        service = self.drill.service
        deadline = time.monotonic() + service.settings.reload_timeout_s
        if failed := service.run_reload(self.drill.env_file.path, deadline, self.drill.tick):
            return failed
        back = Comeback(self.drill, before, self._restarts, was_up=well.get)
        back.wait(deadline)
        self._restarts = self._restarts and not back.late
        return service.not_healthy(back.broken) if back.broken else ""

    def _fall_back(self, evidence: Evidence) -> Evidence:
        """Go back to the last rung that held, and if that is not proven, to FAISS only."""
        told = ""
        for rung in dict.fromkeys((self.good.name, self._lowest.name)):
            proof = self._prove(self.good if rung == self.good.name else self._lowest)
            if proof.verdict is Verdict.PASS:
                return replace(evidence, reason=f"{evidence.reason}; {told}back on {rung}, proven: {proof.reason}")
            told += f"{rung} is not proven ({proof.verdict}: {proof.reason}); "
        return replace(evidence, reason=f"{evidence.reason}; fell back, but {told.removesuffix('; ')}")

    def _prove(self, rung: Rung) -> Evidence:
        try:
            if problem := self._take(rung):
                return Evidence(Verdict.FAIL, problem)
        except (Refused, EnvWriteFailed) as problem:
            return Evidence(Verdict.FAIL, str(problem))
        witness = WriteWitness(self.drill, rung.off)
        witness.begin()
        try:
            return self._proven(rung, witness)
        finally:
            witness.end()

    def _proven(self, rung: Rung, witness: WriteWitness) -> Evidence:
        """Watch the service on a rung that was fallen back to, and judge its flags."""
        probes = PROOF_PROBES * len(self.drill.service.instances)
        self.drill.gather(PROOF_S, max(probes, probes_for(self.drill, rung, PROOF_READS)), f"proving {rung.name}")
        window = self.drill.window(self.drill.read_metrics())
        parts = [judge_backend(self.drill, window)]
        if not rung.dual_write:
            parts.append(witness.judge(judge_dual_write(self.drill, window), window))
        parts += [_sampled(self.drill, rung, window)] if rung.shadow_rate else [prove_shadow(self.drill, window)]
        final = worst(part.verdict for part in parts)
        return Evidence(final, "; ".join(part.reason for part in parts if part.verdict is final))


def _held(hold: Hold) -> Evidence:
    """Hold a rung until it is judged for good, ``HOLDS`` times at most."""
    evidence = Evidence(Verdict.INCONCLUSIVE, "was not held")
    for _ in range(HOLDS):
        evidence = hold.judge()
        if evidence.verdict in {Verdict.FAIL, Verdict.PASS}:
            break
    return evidence


def _sampled(drill: Drill, rung: Rung, window: Window) -> Evidence:
    """Judge that shadow-read is on at its rate; whether the target does well was judged when the rung was climbed."""
    return dict(judge_shadow_reads(drill.config, rung, window))["sampled"]


def _together(seen: Sequence[tuple[Rung, Evidence]]) -> Evidence:
    """Return the evidence of all rungs that were climbed, at least one: the last one decides, each is shown."""
    _, last = seen[-1]
    detail: dict[str, Scalar] = {
        f"{rung.name}: {name}": value for rung, evidence in seen for name, value in evidence.detail.items()
    }
    reason = "; ".join(f"{rung.name}: {evidence.reason}" for rung, evidence in seen)
    return replace(last, reason=reason, detail=detail)

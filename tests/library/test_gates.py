"""No write without every gate: whatever rows are selected, in whatever order, with whatever options.

A drill of a service that is not there: what needs the network is left out of its steps, what writes is the real thing.
"""

import itertools
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from drill.checks import environment_kept, preflight
from drill.context import Drill
from drill.envfile import FLAGS
from drill.envfile.lock import lock_path
from drill.errors import CannotMeasure, NoFallback, Refused
from drill.gates import Gates
from drill.plans import make_plan
from drill.primary import Look
from drill.record import Evidence
from drill.reopen.ladder import Ladder
from drill.rollback import FLAG_OF_STEP, Progress, Rollback
from drill.runner import Runner
from drill.steps import flags, reopen
from drill.steps import purge as purge_step
from drill.target.base import Pair, Row
from drill.verdict import Verdict
from tests.library.world import MIGRATING, Inventory, close_drills, start

EXAMPLES = int(os.environ.get("GATES_EXAMPLES", "100"))
ROWS = (
    "preflight.env_file",
    "preflight.window",
    "preflight.faiss",
    "preflight.service",
    "disable_dual_write",
    "purge_delta",
    "disable_shadow_read",
    "force_faiss",
    "reopen.shadow_read",
)
KNOWN = {f"d{number}": f"h{number}" for number in range(12)}
ORPHANS = {"x1": "o1", "x2": "o2", "x3": "o3"}


@dataclass(frozen=True)
class Case:
    """A command line, and a world: by default one in which everything holds."""

    rows: Sequence[str] = ROWS
    apply: bool = True
    purge: str = "auto"
    plan: str = "none"
    window: str = "none"
    faiss: str = "there"
    proof: str = "effect"
    boots: bool = True
    early: str = ""
    """What somebody does before the first row."""
    late: str = ""
    """The same, as soon as the flags are written."""

    @property
    def steps(self) -> set[str]:
        return set(self.rows) & set(FLAG_OF_STEP)

    @property
    def open(self) -> bool:
        return self.apply and self.window in {"none", "open", "incident"}

    @property
    def may_write(self) -> bool:
        """Whether every gate of the flags is open."""
        return self.open and self.plan in {"none", "holds"} and self.faiss != "gone" and not self.early

    @property
    def may_restore(self) -> bool:
        return self.may_write and not self.late.startswith("lock")

    @property
    def may_delete(self) -> bool:
        """Whether every gate of the purge is open: nobody has touched lock or file, and step 1 is proven."""
        touched = self.late in {"lock removed", "lock replaced", "flags back"}
        return self.may_write and self.proof == "effect" and self.boots and self.purge != "off" and not touched


class Faiss(Inventory):
    """FAISS as a purge needs it."""

    def __init__(self, state: str) -> None:
        super().__init__({"default": set(KNOWN)})
        self.state = state

    def look(self, tenant: str, wanted: Collection[str] = (), sample: int = 0) -> Look:
        if self.state == "gone":
            raise NoFallback("there is no FAISS to fall back to")
        if self.state == "unreadable":
            raise CannotMeasure("FAISS cannot be looked at now")
        if self.state == "defect":
            raise ZeroDivisionError
        return super().look(tenant, wanted, sample)

    def inventory(self, _tenant: str) -> Iterator[Pair]:
        yield from KNOWN.items()

    def lookup(self, _tenant: str, ids: Collection[str]) -> dict[str, str]:
        return {name: KNOWN[name] for name in ids if name in KNOWN}


@dataclass
class Documents:
    """A target in memory."""

    held: dict[str, str] = field(default_factory=lambda: {**KNOWN, **ORPHANS})

    def counts(self) -> dict[str, int]:
        return {"default": len(self.held)}

    def scan(self, _tenant: str) -> Iterator[Sequence[Pair]]:
        yield list(self.held.items())

    def present(self, _tenant: str, ids: Collection[str]) -> set[Pair]:
        return {(name, self.held[name]) for name in ids if name in self.held}

    def export(self, tenant: str, ids: Collection[str]) -> list[Row]:
        return [Row(name, digest, None, "{}") for name, digest in self.present(tenant, ids)]

    def delete(self, _tenant: str, pairs: Collection[Pair]) -> set[str]:
        return {name for name, _ in pairs if self.held.pop(name, None)}

    def flush(self) -> None:
        pass

    def describe(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        pass


@dataclass
class Seen:
    """What a drill has done."""

    written: list[str] = field(default_factory=list)
    """What was in the env file each time when it was written."""
    end: str = ""
    """What is in it at the end."""
    target: Documents = field(default_factory=Documents)
    climbed: int = 0
    refused: str = ""


def somebody(does: str, drill: Drill) -> None:
    """Do to the env file, or to its lock file, what others do."""
    path = drill.env_file.path
    side = lock_path(path)
    if does.startswith("lock"):
        side.unlink()
    if does == "lock replaced":
        side.touch()
    if does == "changed":
        path.write_text(f"{MIGRATING}NEW=1\n")
    if does == "everybody":
        path.chmod(0o666)
    if does == "flags back":
        path.write_text(MIGRATING)


def world_of(case: Case, folder: Path) -> Drill:
    now, hour = datetime.now(UTC), timedelta(hours=1)
    opens = now + hour if case.window in {"closed", "incident"} else now - hour
    window = "" if case.window == "none" else f'[window]\nopens = "{opens.isoformat()}"\n'
    target = '[target]\nkind = "pgvector"\ndsn_env = "DSN"\n[purge]\nmax_fraction = 0.5\nbatch = 1\n'
    notes = "incident-1" if case.window == "incident" else "drill"
    selected = frozenset(case.rows)
    drill = start(folder, toml=window + target, env=MIGRATING, apply=case.apply, notes=notes, selected=selected).drill
    assert drill is not None
    drill.purge_mode, drill.reopen = case.purge, True
    drill.__dict__["primary"] = Faiss(case.faiss)
    drill.__dict__["service"] = SimpleNamespace(instances=[], reload=lambda *_: SimpleNamespace(problem=""))
    drill.held_plan = plan_of(case, drill) if case.apply and case.plan != "none" else None
    return drill


def plan_of(case: Case, drill: Drill) -> Any:
    changes = {change.key: change.after for change in drill.plan.changes}
    env = b"OTHER=1\n" if case.plan == "other bytes" else drill.plan.old_bytes
    env_id = "0" * 16 if case.plan == "other environment" else drill.record.env_id
    urls = ["http://elsewhere"] if case.plan == "other instances" else drill.config.service.urls
    plan = make_plan("p-1", ".env", env, changes, urls, None, apply=False, env_id=env_id)
    old = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    return replace(plan, created=old) if case.plan == "expired" else plan


@contextmanager
def without_network(case: Case, seen: Seen, drill: Drill) -> Iterator[None]:
    """Leave out of the steps what waits for a service; keep all that decides and writes."""

    def take_effect(rollback: Rollback) -> None:
        if drill.record.flags_written:
            seen.written.append(drill.env_file.path.read_text())
            somebody(case.late, drill)
        if not case.boots:
            rollback.problem = "down"
            rollback._undo()
            return
        drill.rolled_back, rollback.progress = True, Progress.EFFECTIVE

    def climb(_ladder: Ladder, _rung: object) -> Evidence:
        seen.climbed += 1
        return Evidence(Verdict.PASS, "holds")

    proven = replace(Evidence(Verdict.PASS, "off"), proof=case.proof)
    witness = SimpleNamespace(begin=None, judge=lambda *_: proven, end=list, written=SimpleNamespace(begun=False))
    changed: list[tuple[Any, str, object]] = [
        (Rollback, "_take_effect", take_effect),
        (Ladder, "_try", climb),
        (flags, "judge_dual_write", lambda *_: None),
        (flags, "prove_shadow", lambda *_: Evidence(Verdict.PASS, "off")),
        (flags, "prove_backend", lambda *_: Evidence(Verdict.PASS, "faiss")),
        (reopen, "_not_green", lambda *_: []),
        (purge_step, "loss", lambda _drill: ""),
        (environment_kept, "STILL_S", 0.0),
    ]
    with ExitStack() as stack:
        for owner, name, value in changed:
            stack.enter_context(patch.object(owner, name, value))
        for name, value in (
            ("drill.steps.witness.WriteWitness", lambda _drill: witness),
            ("drill.proof.late.look_again", lambda _drill: None),
        ):
            stack.enter_context(patch(name, value))
        for name in ("read_metrics", "window", "open_target", "open_target_by_text"):
            answer = seen.target if name.startswith("open") else None
            stack.enter_context(patch.object(Drill, name, lambda *_, answer=answer: answer))
        yield


def run(case: Case) -> Seen:
    """Run the rows as a session does; none after a refusal."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seen = Seen()
        try:
            drill = world_of(case, folder)
            runner = Runner(drill, Rollback(drill))
            somebody(case.early, drill)
            with without_network(case, seen, drill):
                for row in case.rows:
                    if not drill.record.refused:
                        run_row(runner, row)
            seen.end = drill.env_file.path.read_text()
            seen.refused = drill.record.refused
        finally:
            close_drills()
        return seen


def run_row(runner: Runner, row: str) -> None:
    checks: dict[str, Callable[[Drill], Evidence]] = {
        "preflight.env_file": preflight.env_file,
        "preflight.window": preflight.window,
        "preflight.faiss": preflight.faiss,
        "preflight.service": _dead,
    }
    if row in checks:
        if row == "preflight.service":
            runner.write_flags()
        runner.check(row, checks[row])
    else:
        steps = {
            "disable_dual_write": flags.disable_dual_write,
            "purge_delta": purge_step.purge_delta,
            "disable_shadow_read": flags.disable_shadow_read,
            "force_faiss": flags.force_faiss,
            "reopen.shadow_read": reopen.shadow_read,
        }
        runner.step(row, steps[row])


def _dead(_drill: Drill) -> Evidence:
    raise CannotMeasure("the service does not answer")


def check(case: Case) -> Seen:
    """Run ``case`` and compare what was written with what its gates allow."""
    seen = run(case)
    wanted = {FLAG_OF_STEP[step] for step in case.steps}
    assert bool(seen.written) == (bool(wanted) and case.may_write), seen
    rolled_back = {key for key, value in FLAGS.items() if f"{key}={value}\n" in seen.end}
    if not seen.written:
        assert seen.end == MIGRATING + "NEW=1\n" * (case.early == "changed")
    elif case.boots or not case.may_restore:
        assert case.late == "flags back" or rolled_back == wanted, seen
    else:
        assert seen.end == MIGRATING, seen
    if len(seen.target.held) < len(KNOWN) + len(ORPHANS):
        assert case.may_delete, seen
        assert set(seen.target.held) >= set(KNOWN)
    lock_lost = case.early.startswith("lock") or (bool(seen.written) and case.late.startswith("lock"))
    assert not seen.climbed or (case.open and not lock_lost), seen
    return seen


CASES = st.builds(
    Case,
    rows=st.one_of(st.just(ROWS), st.lists(st.sampled_from(ROWS), unique=True).map(tuple)),
    apply=st.sampled_from([True, True, True, False]),
    purge=st.sampled_from(["auto", "defer", "off"]),
    plan=st.sampled_from(
        ["none", "none", "holds", "holds", "other bytes", "expired", "other environment", "other instances"]
    ),
    window=st.sampled_from(["none", "open", "incident", "closed"]),
    faiss=st.sampled_from(["there", "there", "gone", "unreadable", "defect"]),
    proof=st.sampled_from(["effect", "effect", "restart"]),
    boots=st.sampled_from([True, True, False]),
    early=st.sampled_from(["", "", "", "lock removed", "lock replaced", "changed", "everybody"]),
    late=st.sampled_from(["", "", "", "lock removed", "lock replaced", "flags back", "everybody"]),
)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 100, suppress_health_check=[*HealthCheck])
@given(CASES)
@example(Case(rows=("disable_dual_write", "force_faiss"), plan="other bytes"))
@example(Case(rows=("force_faiss",), window="closed"))
@example(Case(rows=("preflight.service", "force_faiss"), faiss="gone"))
@example(Case(late="lock removed", boots=False))
def test_nothing_is_written_without_every_gate(case: Case) -> None:
    check(case)


def test_where_every_gate_is_open_everything_is_written() -> None:
    """The control: what the property forbids does happen where nothing stands against it."""
    seen = check(Case(plan="holds", window="open"))
    assert seen.written == [seen.end]
    assert (set(seen.target.held), seen.climbed > 0, seen.refused) == (set(KNOWN), True, "")
    assert check(Case(boots=False)).end == MIGRATING


@pytest.mark.parametrize(
    "shut",
    [
        {"plan": "other bytes"},
        {"plan": "expired"},
        {"plan": "other environment"},
        {"plan": "other instances"},
        {"window": "closed"},
        {"faiss": "gone"},
        {"early": "lock removed"},
        {"early": "lock replaced"},
        {"early": "changed"},
        {"early": "everybody"},
    ],
    ids=lambda shut: "-".join(shut.values()).replace(" ", "_"),
)
@pytest.mark.parametrize("rows", [ROWS, ("force_faiss",), ("disable_shadow_read", "disable_dual_write")])
def test_each_gate_by_itself_keeps_the_flags_from_the_disk(shut: dict[str, str], rows: Sequence[str]) -> None:
    """With the row that reports it, and without."""
    seen = check(replace(Case(rows=rows), **cast("Any", shut)))
    assert (seen.written, bool(seen.refused)) == ([], True)


@pytest.mark.parametrize("faiss", ["unreadable", "defect"])
def test_what_cannot_be_known_keeps_no_flag_from_the_disk(faiss: str) -> None:
    assert check(Case(faiss=faiss, rows=("force_faiss",))).written


@contextmanager
def at_call(number: int, gate: str, does: str) -> Iterator[None]:
    """Have somebody do something just before a gate is asked for the ``number``th time."""
    calls, asked = itertools.count(1), getattr(Gates, gate)

    def meddling(gates: Gates) -> None:
        if next(calls) == number:
            somebody(does, gates._drill)
        asked(gates)

    with patch.object(Gates, gate, meddling):
        yield


@pytest.mark.parametrize("late", ["lock removed", "flags back"])
def test_a_purge_whose_ground_is_gone_deletes_nothing_more(late: str) -> None:
    """Asked before each batch: the third one is not deleted."""
    with at_call(3, "deletes", late):
        assert len(run(Case()).target.held) == len(KNOWN) + 1


def test_a_ladder_whose_ground_is_gone_goes_no_further() -> None:
    """Asked before it is begun, and before each rung."""
    with at_call(3, "rung", "lock removed"):
        assert run(Case()).climbed == 1


def test_nothing_is_deleted_on_a_step_that_is_not_proven(tmp_path: Path) -> None:
    """Whoever purges: not only the row asks."""
    drill = world_of(Case(), tmp_path)
    try:
        with pytest.raises(Refused, match="not proven off"):
            drill.gates.deletes()
        drill.gates.proven_off = True
        drill.gates.deletes()
    finally:
        close_drills()

"""The kinds of drill that faults are met by: what each begins with, how it is called, and what must be so after it."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from matrix.bench import Bench, heal_target, let_writes_wait, quiet_copies
from sandbox.faults.expected.model import Mode as Name
from sandbox.home import REHEARSAL

ON_FAISS = {"FF_RETRIEVAL_DUAL_WRITE": "OFF", "FF_RETRIEVAL_SHADOW_READ": "OFF", "RETRIEVAL_BACKEND": "faiss"}
CLIMB = {
    "DRILL_REOPEN__HOLD_S": "12",
    "DRILL_REOPEN__PILOT_TENANTS": '["acme"]',
    "DRILL_TARGET__STATEMENT_TIMEOUT_S": "10",
    "DRILL_SERVICE__RELOAD_TIMEOUT_S": "60",
}
"""A short hold, and a rung of its own for pilot tenants; every limit as delivered."""
IMPATIENT = {"DRILL_REHEARSAL__BOOT_TIMEOUT_S": "15", "DRILL_REHEARSAL__STOP_TIMEOUT_S": "4"}
MANY = 4
"""Good copies of a tenant that must have been there, of the eight that are looked at."""

After = Callable[[], Iterator[str]]
"""Yields what is wrong once the drill has ended; it may drill again."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One kind of drill."""

    doc: str
    """What is done, for the documentation."""
    options: tuple[str, ...]
    before: Callable[[Bench], After]
    """Prepares the bench, without the fault, and returns what is to be looked at afterwards."""
    environ: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, bool] = field(default_factory=dict)
    """How the stack is started, as of ``Stack.start``."""
    fresh: bool = False
    """Whether each fault gets a stack of its own: a ladder leaves traces on the target."""
    once: bool = False
    """Whether it is the same on every metric source, and therefore met on one only."""


def flags(bench: Bench) -> dict[str, str]:
    """Return the flags of the rollback as the env file has them."""
    pairs = (line.partition("=") for line in bench.stack.env_file.read_text().splitlines())
    return {key: value.partition(" ")[0] for key, _, value in pairs if key in ON_FAISS}


def _nothing_further(_bench: Bench) -> After:
    return lambda: iter(())


def _then_on_faiss(bench: Bench) -> After:
    """See that a failed ladder leaves nothing on but what held, and that a plain ``--apply`` is green on FAISS only."""

    def after() -> Iterator[str]:
        left = flags(bench)
        if left != {**ON_FAISS, "FF_RETRIEVAL_SHADOW_READ": left["FF_RETRIEVAL_SHADOW_READ"]}:
            yield f"after the ladder the env file says {left}"
        again, _ = bench.drill("--apply", **CLIMB)
        if again.code:
            yield f"the next plain --apply ends with exit {again.code}: {sorted(again.not_green)}"
        if (now := flags(bench)) != ON_FAISS:
            yield f"after the next plain --apply the env file says {now}"

    return after


def _after_an_incident(bench: Bench) -> After:
    """Roll back while writes wait in the outbox, and heal the target."""
    let_writes_wait(bench.stack)
    rolled_back, _ = bench.drill("--apply", **CLIMB)
    heal_target(bench.stack)
    on_faiss = _then_on_faiss(bench)

    def after() -> Iterator[str]:
        if rolled_back.code:
            yield f"the rollback before it ends with exit {rolled_back.code}: {sorted(rolled_back.not_green)}"
        yield from on_faiss()

    return after


def _untouched(bench: Bench) -> After:
    """See that a rehearsal changes neither env file nor FAISS data, and leaves no instance running."""
    faiss = {path: path.stat().st_mtime_ns for path in bench.stack.faiss_dir.rglob("*") if path.is_file()}
    began_with = bench.stack.env_file.read_bytes()

    def after() -> Iterator[str]:
        if bench.stack.env_file.read_bytes() != began_with:
            yield "the env file has changed"
        if faiss != {path: path.stat().st_mtime_ns for path in bench.stack.faiss_dir.rglob("*") if path.is_file()}:
            yield "the FAISS data has changed"
        pattern = f"instance {REHEARSAL} --faults {bench.stack.home}"
        left = subprocess.run(["pgrep", "-f", pattern], capture_output=True, check=False).stdout
        if left:
            yield "a rehearsal instance still runs"

    return after


def _spared(bench: Bench) -> After:
    """See that documents which FAISS loses or changes stay on the target, where they were as in FAISS."""
    before = quiet_copies(bench.stack)

    def after() -> Iterator[str]:
        gone = sum(len(copies - quiet_copies(bench.stack)[tenant]) for tenant, copies in before.items())
        if gone:
            yield f"{gone} good copies are gone from the target"
        if min(map(len, before.values())) < MANY:
            yield f"too few documents were on both sides: {[len(copies) for copies in before.values()]}"

    return after


def _env_file_untouched(bench: Bench) -> After:
    began_with = bench.stack.env_file.read_bytes()

    def after() -> Iterator[str]:
        if bench.stack.env_file.read_bytes() != began_with:
            yield "the env file has changed"

    return after


MODES: dict[Name, Mode] = {
    "rollback": Mode("`--apply` in an incident", ("--apply",), _nothing_further),
    "spared": Mode(
        "`--apply` in an incident. Documents that FAISS had as the target has them when the drill began must be on the "
        "target after it, whatever has become of them in FAISS",
        ("--apply",),
        _spared,
        fresh=True,
        once=True,
    ),
    "reopen": Mode(
        "`--apply --reopen` where the target is well. The ladder must fall back by itself and prove where it stands; "
        "then a plain `--apply` must be green and leave FAISS only in the env file",
        ("--apply", "--reopen"),
        _then_on_faiss,
        CLIMB,
        {"incident": False},
        fresh=True,
    ),
    "replay": Mode(
        "`--apply --reopen --replay-outbox` after a rollback in an incident in which the target is down until writes "
        "wait, once it is well again; then the same as for a ladder that failed",
        ("--apply", "--reopen", "--replay-outbox"),
        _after_an_incident,
        CLIMB,
        {"delta": False},
        fresh=True,
    ),
    "rehearsal": Mode(
        "A dry-run. Env file and FAISS data must be untouched afterwards and no throw-away instance be left. It asks "
        "that instance alone, so that the metric source does not matter: run once",
        (),
        _untouched,
        IMPATIENT,
        {"incident": False, "traffic": False},
        once=True,
    ),
    "dry-run": Mode(
        "A dry-run without a rehearsal, where the target is well. What no rollback mends must be red before it, and "
        "the env file untouched",
        (),
        _env_file_untouched,
        {"DRILL_REHEARSAL__COMMAND": "[]"},
        {"incident": False},
    ),
}

"""Running cosmic-ray on a copy of the tree: it edits the files in place."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mutation import forks
from mutation.targets import OPERATORS, TARGETS

if TYPE_CHECKING:
    from cosmic_ray.work_item import MutationSpec, WorkResult

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 20
CONTEXT = re.compile(r"^(---|\+\+\+|@@|\s)")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change that was made to a module, and whether a test noticed."""

    module: str
    function: str
    operator: str
    before: str
    after: str
    survived: bool
    occurrence: int = 0

    @property
    def key(self) -> str:
        """What tells this mutant from others, and stays the same when lines are moved."""
        return f"{self.module} {self.function}: `{self.before}` -> `{self.after}`"


def copy_tree(folder: Path) -> Path:
    """Copy what git knows of the working tree, and what it would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def mutate(tree: Path, module: str, left: Sequence[Mutant] = ()) -> list[Mutant]:
    """Make every mutant of ``module`` in ``tree``, one after the other, and run its tests against each.

    With ``left``, of a module that has not changed since, only these.
    """
    config, session = tree / "mutation.toml", tree / "mutation.sqlite"
    session.unlink(missing_ok=True)
    config.write_text(_config(module))
    _begin(tree, module, session, {(mutant.operator, mutant.occurrence) for mutant in left})
    _do(tree, module, [*_tests(module), "--tb=native", "-p", "mutation.forks", f"--basetemp={tree / 'tmp'}"])
    if _is_pending(session):
        _do(tree, module, [str(Path(sys.executable).with_name("cosmic-ray")), "exec", str(config), str(session)])
    return list(_read(session, tree / module, module))


def _begin(tree: Path, module: str, session: Path, left: Collection[tuple[str, int]]) -> None:
    """Write down the mutants of ``module`` that are wanted: those of all operators, or what is ``left``."""
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult

    def is_wanted(spec: "MutationSpec") -> bool:
        operator = spec.operator_name.removeprefix("core/")
        return (operator, spec.occurrence) in left if left else operator in OPERATORS

    with chdir(tree), use_db(session, WorkDB.Mode.create) as database:
        init([Path(module)], database, {})
        others = [item.job_id for item in database.work_items if not is_wanted(item.mutations[0])]
        database.set_multiple_results(others, WorkResult(WorkerOutcome.SKIPPED))


def _is_pending(session: Path) -> bool:
    from cosmic_ray.work_db import WorkDB, use_db

    with use_db(session, WorkDB.Mode.open) as database:
        return any(True for _ in database.pending_work_items)


def _do(tree: Path, module: str, command: Sequence[str]) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": ".",
        forks.MODULE: module,
        forks.SESSION: str(tree / "mutation.sqlite"),
        forks.TIMEOUT: str(TIMEOUT_S),
    }
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        raise SystemExit(f"{' '.join(command)} failed on {module}:\n{said}")


def _tests(module: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TARGETS[module], "-m", "not long"]


def _config(module: str) -> str:
    return f"""\
[cosmic-ray]
module-path = "{module}"
timeout = {10 * TIMEOUT_S}
excluded-modules = []
test-command = {json.dumps(shlex.join(_tests(module)))}

[cosmic-ray.distributor]
name = "local"
"""


def _read(session: Path, source: Path, module: str) -> Iterator[Mutant]:
    from cosmic_ray.work_db import WorkDB, use_db

    text = source.read_text()
    with use_db(session, WorkDB.Mode.open) as found:
        items = {item.job_id: item.mutations[0] for item in found.work_items}
        for job, result in found.results:
            if result.worker_outcome == "normal":
                yield mutant_of(module, text, items[job], result)


def mutant_of(module: str, text: str, spec: "MutationSpec", result: "WorkResult") -> Mutant:
    """Return a mutant of ``module``, whose unchanged source is ``text``, with what became of it."""
    lines = [line for line in (result.diff or "").splitlines() if line and not CONTEXT.match(line)]
    before, after = (" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
    operator = spec.operator_name.removeprefix("core/")
    survived = result.test_outcome == "survived"
    return Mutant(module, spec.definition_name or _line(text, spec), operator, before, after, survived, spec.occurrence)


def _line(text: str, spec: "MutationSpec") -> str:
    """Return the top-level name that the mutation stands in."""
    above = text.splitlines()[: spec.start_pos[0]]
    return next((found.group(1) for line in reversed(above) if (found := re.match(r"(\w+)", line))), "module")

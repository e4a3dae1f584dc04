"""Running a whole drill as its user does, and reading what it left."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T", str, bytes)
ROOT = Path(__file__).resolve().parents[2]
ENV = b"# service\nFF_RETRIEVAL_DUAL_WRITE=ON\nFF_RETRIEVAL_SHADOW_READ=ON\nRETRIEVAL_BACKEND=pgvector\n"
"""An env file before the rollback."""
DEAD = "http://127.0.0.1:9"
"""Where nothing listens."""
QUICK = {"DRILL_SLO__OBSERVE_S": "8"}
"""A short observation; everything else as delivered."""


@contextmanager
def surely_ended(process: "subprocess.Popen[T]") -> Iterator["subprocess.Popen[T]"]:
    """End a process and close its pipes whatever becomes of its test: what is left behind would fail another one."""
    with process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class Ran:
    """A drill that has ended."""

    command: list[str]
    code: int
    output: str
    entries: list[dict[str, Any]]
    """The journal, oldest line first."""
    reports: list[Path]

    def __repr__(self) -> str:
        return f"$ {' '.join(self.command)}\nexit {self.code}\n{self.output}"

    def expect(self, code: int) -> None:
        """Assert the exit code, showing all output otherwise."""
        assert self.code == code, repr(self)

    @property
    def entry(self) -> dict[str, Any]:
        """The journal line of this drill."""
        assert self.entries, self
        return self.entries[-1]

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdict by id, of steps and checks."""
        return {row["id"]: row["verdict"] for row in (*self.entry["steps"], *self.entry["checks"])}

    @property
    def not_green(self) -> set[str]:
        """Ids of rows whose verdict is bad or unproven; rows that were not run are not among them, nor sums of rows."""
        bad = {row for row, verdict in self.verdicts.items() if verdict not in {"pass", "not_run"}}
        return bad - {"preflight", "reopen"}

    def reason(self, row: str) -> str:
        """Return the reason given for a row."""
        rows = (*self.entry["steps"], *self.entry["checks"])
        return next(str(item["reason"]) for item in rows if item["id"] == row)


@dataclass(frozen=True)
class Desk:
    """Where an operator drills from: an env file, and directories of its own for what a drill leaves."""

    env_file: Path
    artifacts: Path
    reports: Path
    observe_s: str = field(default=QUICK["DRILL_SLO__OBSERVE_S"], kw_only=True)
    """How long is observed; of a service that is not there nothing is seen, however long."""
    plugins: tuple[str, ...] = field(default=(), kw_only=True)
    """What is loaded into each drill."""

    def command(self, *options: str) -> list[str]:
        """Return the command line of a drill."""
        plugins = ("no:cacheprovider", *self.plugins)
        base = [sys.executable, "-m", "pytest", *(word for name in plugins for word in ("-p", name))]
        where = ["--artifacts-dir", str(self.artifacts), "--reports-dir", str(self.reports)]
        rows, who = str(ROOT / "drill_tests"), ["--env-file", str(self.env_file), "--operator", "tester"]
        return [*base, rows, *who, *where, *options]

    def drill(self, *options: str, timeout_s: float = 240, **environ: str) -> Ran:
        """Run a drill to its end."""
        command = self.command(*options)
        env = {**os.environ, "GITHUB_ACTIONS": "", "DRILL_SLO__OBSERVE_S": self.observe_s, **environ}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        return Ran(command, done.returncode, done.stdout + done.stderr, list(self.journal()), self.found_reports())

    def journal(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of the journal."""
        path = self.artifacts / "rollback_drill_log.ndjson"
        for line in path.read_text().splitlines() if path.exists() else ():
            yield json.loads(line)

    def found_reports(self) -> list[Path]:
        """Return the reports, oldest first."""
        return sorted(path for path in self.reports.glob("*.html") if path.name != "index.html")

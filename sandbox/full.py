"""``python -m sandbox.full``: the whole runbook on an embedded stack, from rehearsal to the last rung of the ladder."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.home import ROOT
from sandbox.stack import INCIDENT, Stack

PILOT = 'DRILL_REOPEN__PILOT_TENANTS=["acme"]'


def main() -> int:
    """Rehearse, roll back, heal the target, re-open; return the exit code of the first drill that is not green."""
    print("starting the embedded stack in an incident", flush=True)
    with tempfile.TemporaryDirectory(prefix="drill-sandbox-") as folder, Stack.start(Path(folder) / "home") as stack:
        if code := _drill(stack, "rehearse", ()):
            return code
        plan = max((ROOT / "artifacts" / "plans").glob("*.json"), key=lambda path: path.stat().st_mtime).stem
        if code := _drill(stack, f"roll back by plan {plan}", ("--apply", "--plan", plan)):
            return code
        for fault in INCIDENT:
            stack.fault(fault, on=False)
        return _drill(stack, "the target is well again: re-open", ("--apply", "--reopen", "--replay-outbox"))


def _drill(stack: Stack, title: str, options: Sequence[str]) -> int:
    print(f"\n=== {title} ===\n", flush=True)
    command = [sys.executable, "-m", "pytest", "drill_tests", "--env-file", str(stack.env_file), *options]
    name, _, value = PILOT.partition("=")
    environ = {**os.environ, name: value}
    return subprocess.run([*command, "--reason", title], cwd=ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

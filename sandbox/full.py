"""``python -m sandbox.full``: the whole runbook on an embedded stack, from rehearsal to the last rung of the ladder."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.home import ROOT
from sandbox.stack import INCIDENT, Stack

ENVIRON = {
    "DRILL_REOPEN__PILOT_TENANTS": '["acme"]',
    "DRILL_REOPEN__MAX_DROP_RATE": "0.2",
    "DRILL_SLO__P50_MS": "1500",
    "DRILL_SLO__P95_MS": "3000",
    "DRILL_SLO__MAX_P50_RATIO": "3",
    "DRILL_SLO__MAX_P95_RATIO": "5",
}
"""A rung of its own for pilot tenants; latency and dropped shadow reads as on a machine with other work: the runbook is
what is shown here, not the machine."""


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
    environ = {**os.environ, **ENVIRON}
    return subprocess.run([*command, "--reason", title], cwd=ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

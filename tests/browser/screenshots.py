"""``python -m tests.browser.screenshots [KIND ...]``: the pictures of docs/reports.md, each of a real drill.

Six drills on the embedded stack, one per way in which a drill can end, and the first screen of each report.
"""

import io
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import sync_playwright

from sandbox.stack import INCIDENT, Stack
from tests.drill.harness import ROOT, Desk

PICTURES = ROOT / "docs" / "img"
SIZE = {"width": 1180, "height": 1240}
COLOURS = 256
INCIDENT_S = 8.0
"""How long users have had the sick target before each drill: without it there is no before."""
ATTEMPTS = 3
"""A machine that is busy with other things makes latency unstable, which a drill says: then it is run again."""
WHO = ("--operator", "alice")


def dry_run(_stack: Stack, desk: Desk) -> None:
    """Rehearse on a sound stack."""
    desk.drill(*WHO, "--reason", "rehearsal before the on-call handover").expect(0)


def success(_stack: Stack, desk: Desk) -> None:
    """Roll back for real."""
    apply = ("--apply", *WHO, "--reason", "INC-4711 pgvector is slow and failing")
    desk.drill(*apply, DRILL_SLO__OBSERVE_S="30").expect(0)


def failure(stack: Stack, desk: Desk) -> None:
    """Roll back while one instance does not obey a flag."""
    stack.fault("backend_flag_ignored", 1)
    desk.drill("--apply", *WHO, "--reason", "INC-4712 pgvector is slow and failing").expect(1)


def inconclusive(stack: Stack, desk: Desk) -> None:
    """Roll back while one instance's metrics stand still."""
    stack.fault("metrics_frozen", 1)
    desk.drill("--apply", *WHO, "--reason", "INC-4713 pgvector is slow and failing").expect(10)


def refused(stack: Stack, desk: Desk) -> None:
    """Try to roll back to a FAISS that is gone."""
    stack.fault("faiss_emptied")
    desk.drill("--apply", *WHO, "--reason", "INC-4714 pgvector is slow and failing").expect(11)


def interrupted(_stack: Stack, desk: Desk) -> None:
    """Lose the terminal in the middle of the rollback."""
    command = desk.command("--apply", *WHO, "--reason", "INC-4715 pgvector is slow and failing")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while not any('"kind": "done", "action": "reload"' in path.read_text() for path in _events(desk)):
            assert process.poll() is None, "the drill ended by itself"
            time.sleep(0.1)
        time.sleep(2.5)
        process.send_signal(signal.SIGHUP)
        process.wait(60)
    assert next(iter(desk.journal()))["result"] == "interrupted"


def _events(desk: Desk) -> list[Path]:
    return list(desk.artifacts.glob("drills/*/events.ndjson"))


KINDS: dict[str, Callable[[Stack, Desk], None]] = {
    "dry-run": dry_run,
    "success": success,
    "failure": failure,
    "inconclusive": inconclusive,
    "refused": refused,
    "interrupted": interrupted,
}
"""In the order in which they run: the divergence that is seeded is there for the first two."""


def main(kinds: list[str]) -> None:
    """Make the pictures of ``kinds``, all by default."""
    with tempfile.TemporaryDirectory() as folder, Stack.start(Path(folder) / "home", metrics="auto") as stack:
        incident = stack.env_file.read_bytes()
        for kind in kinds or KINDS:
            for attempt in range(ATTEMPTS):
                desk = Desk(
                    stack.env_file, *(Path(folder, kind, f"{part}-{attempt}") for part in ("artifacts", "reports"))
                )
                time.sleep(INCIDENT_S)
                try:
                    KINDS[kind](stack, desk)
                except AssertionError as busy:
                    print(f"{kind}: {busy}")
                else:
                    _picture(kind, desk)
                    break
                finally:
                    _restore(stack, incident)


def _picture(kind: str, desk: Desk) -> None:
    (report,) = [path for path in desk.found_reports() if path.name != "index.html"]
    picture = shoot(report)
    (PICTURES / f"report-{kind}.png").write_bytes(picture)
    print(f"report-{kind}.png: {len(picture) // 1024} KB of {report.stat().st_size // 1024} KB")


def _restore(stack: Stack, incident: bytes) -> None:
    for name in set(stack.status().faults) - set(INCIDENT):
        stack.fault(name, on=False)
    stack.env_file.write_bytes(incident)
    stack.reload()


def shoot(report: Path) -> bytes:
    """Return the first screen of a report as PNG, in few colours to keep it small."""
    from PIL import Image

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
        page.goto(report.as_uri())
        raw = page.screenshot()
        browser.close()
    small = io.BytesIO()
    Image.open(io.BytesIO(raw)).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Running a child under strace: which calls its section makes, and what becomes of it when one of them fails."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.reliability.markers import BEGIN, END

ROOT = Path(__file__).resolve().parents[2]
KILL = "signal=KILL"
ERRORS = ("EIO", "ENOSPC", "EACCES", "EBUSY", "EROFS")
ERROR_FAULTS = tuple(f"error={name}" for name in ERRORS)
_CLASSES = "trace=%file,%desc"
_NOT_FILES = frozenset({"mmap", "munmap", "ioctl", "poll", "select", "epoll_wait"})
"""Of the same classes, but these do not touch a file's content or name."""
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")
_LONGEST_S = 60


@dataclass(frozen=True)
class Call:
    """One system call of the section; ``number`` counts the calls of its name from the start of the process."""

    name: str
    number: int
    text: str


@dataclass(frozen=True)
class Point:
    """A call of the section and what is to happen to it: the process is killed at its entry, or it fails."""

    place: int
    call: Call
    fault: str

    def __str__(self) -> str:
        return f"{self.fault} at call {self.place + 1} of the section: {self.call.text}"


@dataclass(frozen=True)
class Ended:
    """How a child ended, and the calls of its section."""

    code: int
    stdout: str
    stderr: str
    calls: tuple[Call, ...]


def strace_problem() -> str:
    """Return why nothing can be traced here, empty if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=close", sys.executable, "-I", "-S", "-c", ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    return "" if done.returncode == 0 else f"ptrace is not permitted here ({done.stderr.strip()[:80]})"


def run(child: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a child undisturbed."""
    return _run([], child, arguments)


def record(trace: Path, child: str, *arguments: str) -> tuple[Call, ...]:
    """Return the calls of the section of an undisturbed run; the child must succeed."""
    ended = _traced(trace, [], child, arguments)
    assert ended.code == 0, ended.stderr
    assert ended.calls
    return ended.calls


def points(calls: tuple[Call, ...], *faults: str) -> list[Point]:
    """Return a point for every call and every fault."""
    return [Point(place, call, fault) for place, call in enumerate(calls) for fault in faults]


def hit(trace: Path, point: Point, child: str, *arguments: str) -> Ended:
    """Run the child with ``point``; a point that was not hit fails the test."""
    inject = f"inject={point.call.name}:{point.fault}:when={point.call.number}"
    ended = _traced(trace, ["-e", inject], child, arguments)
    assert len(ended.calls) > point.place, (
        f"{point}: did not fire (or did before the section: was a source file changed meanwhile?)"
    )
    struck = ended.calls[point.place]
    assert (struck.name, struck.number) == (point.call.name, point.call.number), f"{point}: fired elsewhere"
    if point.fault == KILL:
        assert len(ended.calls) == point.place + 1, f"{point}: the process lived on"
        assert ended.code in {-9, 137}, f"{point}: exit {ended.code}"
    else:
        assert "(INJECTED)" in struck.text, f"{point}: did not fire"
    return ended


def _traced(trace: Path, inject: list[str], child: str, arguments: tuple[str, ...]) -> Ended:
    strace = ["strace", "-f", "-qq", "-s", "64", "-o", str(trace), "-e", _CLASSES, *inject]
    done = _run(strace, child, arguments)
    calls = _section(trace.read_text(errors="replace"))
    return Ended(done.returncode, done.stdout, done.stderr, calls)


def _run(prefix: list[str], child: str, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    # A fixed hash seed and no new byte code: each run makes the same calls before its section.
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*prefix, sys.executable, "-m", f"tests.reliability.{child}", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=_LONGEST_S, check=False
    )


def _section(text: str) -> tuple[Call, ...]:
    """Return the calls between the markers; what is called at start-up is counted and left out."""
    counts: Counter[str] = Counter()
    calls: list[Call] = []
    inside = False
    for line in text.splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        name = match[1]
        counts[name] += 1
        if END in line:
            break
        if inside and name not in _NOT_FILES:
            calls.append(Call(name, counts[name], line[match.start(1) :]))
        inside = inside or BEGIN in line
    return tuple(calls)


needs_strace = pytest.mark.skipif(bool(strace_problem()), reason=strace_problem() or "strace works")

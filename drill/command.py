"""Running a command of the configuration: bounded in time, and of what it says only the end is kept.

Its output goes through a pipe that is emptied all the time, never into a file that could grow. What a command leaves
running (a service that it starts itself) may keep that pipe: it goes on being emptied when the command has ended, by a
``cat`` that lives as long as the last writer, so that nobody ever waits for a reader or is killed for want of one.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

POLL_S = 0.05
KEPT_BYTES = 16 * 1024
"""So much of the end of what a command says is kept."""
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: ``problem`` is empty if it went well."""

    problem: str
    said: bytes | None = field(default=None, repr=False)
    """The end of what it wrote, from the beginning of a line; it may hold anything. ``None``: it was not started."""


def run_command(command: Sequence[str], environ: Mapping[str, str], deadline: float, tick: Callable[[], None]) -> Ended:
    """Run ``command``, an argv, until ``deadline`` (monotonic). Never raises but for what ``tick`` raises."""
    name, began = Path(command[0]).name, time.monotonic()
    tail = _Tail()
    try:
        process = tail.start(command, environ)
    except OSError as error:
        tail.let_go()
        return Ended(f"command {name!r} could not be started ({type(error).__name__}); check it in [service]")
    problem = ""
    try:
        while not problem and process.poll() is None:
            if time.monotonic() > deadline:
                problem = f"command {name!r} did not end within {deadline - began:.3g} s"
            else:
                tick()
                tail.wait(POLL_S)
    finally:
        _end(process)
        tail.let_go()
    if not problem and process.returncode:
        problem = f"command {name!r} ended with exit code {process.returncode}"
    return Ended(problem, tail.text())


class _Tail:
    """The end of what comes out of a pipe."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self._kept = b""
        self._cut = False
        self._open = True

    def start(self, command: Sequence[str], environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start ``command`` with its output going here."""
        try:
            return subprocess.Popen(
                list(command),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=self._write,
                stderr=self._write,
                start_new_session=True,
            )
        finally:
            os.close(self._write)

    def wait(self, seconds: float) -> None:
        """Wait for output, and take it."""
        if not self._open:
            time.sleep(seconds)
        elif select.select([self._read], [], [], seconds)[0]:
            self._take()

    def let_go(self) -> None:
        """Take what there is, and leave what may still come to nobody."""
        while self._open and select.select([self._read], [], [], 0)[0]:
            if len(self._take()) < CHUNK:
                break
        if self._open:
            _empty(self._read)
        self._open = False
        with suppress(OSError):
            os.close(self._read)

    def text(self) -> bytes:
        """Return the end of what came; a line that is there in part only is left out: it could be half a secret."""
        return self._kept.partition(b"\n")[2] if self._cut else self._kept

    def _take(self) -> bytes:
        try:
            found = os.read(self._read, CHUNK)
        except BlockingIOError:
            return b""
        self._open = bool(found)
        whole = self._kept + found
        self._cut = self._cut or len(whole) > KEPT_BYTES
        self._kept = whole[-KEPT_BYTES:]
        return found


def _empty(pipe: int) -> None:
    """Have a pipe emptied for as long as somebody writes to it, whatever becomes of this process."""
    os.set_blocking(pipe, True)
    null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    with suppress(OSError):
        os.posix_spawnp("cat", ["cat"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, pipe, 0), *null], setsid=True)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the whole process group of a command that still runs; one that has ended may have left the service."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

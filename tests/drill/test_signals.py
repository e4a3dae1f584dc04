"""Signals and kills in every phase of a drill: the env file whole, one line, the report, the right exit code."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from drill.journal.verify import verify
from tests.drill import gate
from tests.drill.harness import ENV, ROOT, Desk, surely_ended

AFTER = ENV.replace(b"WRITE=ON", b"WRITE=OFF").replace(b"READ=ON", b"READ=OFF").replace(b"pgvector", b"faiss")
LONGEST_S = 60.0


@dataclass(frozen=True)
class Phase:
    """What must be true of a drill that is stopped there."""

    name: str
    env: bytes = AFTER
    code: int = 12
    """The exit code after a signal."""
    begun: bool = True
    """Whether there is a drill, which has a line and a report."""
    journaled: bool = False
    """Whether its line is written already."""


PHASES = (
    Phase("collect", ENV, begun=False),
    Phase("setup", ENV, 10),
    Phase("written"),
    Phase("step"),
    Phase("reload"),
    Phase("purge"),
    Phase("teardown"),
    Phase("finish", code=1),  # every row has had its turn: signals are not heard any more
    Phase("report", code=1),
    Phase("end", code=1, journaled=True),
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
QUICK = {
    ("collect", "SIGTERM", 1),
    ("setup", "SIGINT", 2),
    ("written", "SIGHUP", 1),
    ("step", "SIGTERM", 2),
    ("reload", "SIGINT", 2),
    ("purge", "SIGHUP", 2),
    ("teardown", "SIGTERM", 1),
    ("report", "SIGINT", 2),
    ("reload", "SIGKILL", 1),
    ("report", "SIGKILL", 1),
}


def cases(numbers: tuple[signal.Signals, ...], times: tuple[int, ...]) -> Iterator[object]:
    """Yield every phase with every signal; all but the quick sample are long."""
    for phase in PHASES:
        for number in numbers:
            for count in times:
                quick = (phase.name, number.name, count) in QUICK
                marks = () if quick else (pytest.mark.long,)
                yield pytest.param(phase, number, count, id=f"{phase.name}-{number.name}-{count}", marks=marks)


@dataclass
class Gate:
    """Where the stopped drill knocks."""

    server: socket.socket
    waiting: list[socket.socket] = field(default_factory=list)

    def knocked(self) -> str:
        """Wait for the drill to come to the gate, and return the phase it says it is in."""
        connection, _ = self.server.accept()
        self.waiting.append(connection)
        connection.settimeout(LONGEST_S)
        return connection.recv(100).decode()

    def open(self) -> None:
        """Let the drill go on."""
        while self.waiting:
            self.waiting.pop().close()


@contextmanager
def stopped(desk: Desk, phase: Phase, *also: str) -> Iterator[tuple["subprocess.Popen[bytes]", Gate]]:
    """Yield a drill that is stopped in ``phase``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONGEST_S)
        port = str(server.getsockname()[1])
        environ = {**os.environ, gate.PHASE: ",".join((phase.name, *also)), gate.PORT: port, **settings(phase)}
        command = desk.command("--apply", "-p", "tests.drill.gate")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=default_signals,  # noqa: PLW1509 - no threads are running here
        )
        entrance = Gate(server)
        try:
            assert entrance.knocked() == phase.name
            yield process, entrance
        finally:
            entrance.open()
            process.kill()
            process.communicate()


def default_signals() -> None:
    """Undo what the test run itself may have been started with."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def settings(phase: Phase) -> dict[str, str]:
    """Return the configuration: a service that is not there, and for a stop in the reload a command that stops."""
    if phase.name != "reload":
        return {"DRILL_SERVICE__RELOAD_TIMEOUT_S": "0.2", "DRILL_SERVICE__ON_BOOT_FAILURE": "leave"}
    command = f'["{sys.executable}", "-m", "tests.drill.gate", "reload"]'
    return {"DRILL_SERVICE__RELOAD_TIMEOUT_S": "60", "DRILL_SERVICE__RELOAD_COMMAND": command}


def await_handled(process: "subprocess.Popen[bytes]") -> None:
    """Wait until no signal is pending for the process: a second one would melt into the first."""
    status = Path(f"/proc/{process.pid}/status")
    pending = True
    while pending and process.poll() is None:
        lines = [line for line in status.read_text().splitlines() if line.startswith(("ShdPnd", "SigPnd"))]
        pending = any(int(line.split()[1], 16) for line in lines)


@pytest.mark.parametrize(("phase", "number", "times"), [*cases(SIGNALS, (1, 2))])
def test_a_signal_in_any_phase_ends_the_drill_in_order(
    env_desk: Desk, phase: Phase, number: signal.Signals, times: int
) -> None:
    interrupts = phase.begun and phase.code != 1
    also = (gate.INTERRUPTED,) if times == 2 and interrupts else ()
    with stopped(env_desk, phase, *also) as (process, entrance):
        process.send_signal(number)
        await_handled(process)
        if also:
            assert entrance.knocked() == gate.INTERRUPTED
        if times == 2 and process.poll() is None:
            process.send_signal(number)
            await_handled(process)
        entrance.open()
        output = process.communicate(timeout=LONGEST_S)[0].decode()
    default = 2 if number is signal.SIGINT else -number
    assert process.returncode == (phase.code if phase.begun else default), output
    assert "Traceback" not in output
    assert env_desk.env_file.read_bytes() == phase.env
    check_line_and_report(env_desk, phase, number)


def check_line_and_report(desk: Desk, phase: Phase, number: signal.Signals) -> None:
    entries = list(desk.journal())
    assert [entry["exit_code"] for entry in entries] == ([phase.code] if phase.begun else [])
    assert len(desk.found_reports()) == len(entries)
    if phase.begun:
        assert verify(desk.artifacts / "rollback_drill_log.ndjson", schema=True).ok
    if phase.name in {"step", "reload"}:
        reason = next(step["reason"] for step in entries[0]["steps"] if step["id"] == "disable_dual_write")
        assert reason == f"interrupted ({number.name})"


@pytest.mark.parametrize(("phase", "number", "times"), [*cases((signal.SIGKILL,), (1,))])
def test_a_killed_drill_gets_its_one_line_from_the_next_run(
    env_desk: Desk, phase: Phase, number: signal.Signals, times: int
) -> None:
    assert times == 1
    with stopped(env_desk, phase) as (process, _):
        process.send_signal(number)
        process.communicate(timeout=LONGEST_S)
    assert env_desk.env_file.read_bytes() == phase.env
    assert len(list(env_desk.journal())) == phase.journaled
    env_desk.env_file.write_bytes(ENV)  # a dry-run with changes to make waits for no observation
    ran = env_desk.drill()
    killed = [] if not phase.begun else ["failure"] if phase.journaled else ["interrupted"]
    assert [entry["result"] for entry in ran.entries] == [*killed, "failure"]
    assert verify(env_desk.artifacts / "rollback_drill_log.ndjson", schema=True).ok
    if phase.name == "report":
        found = ran.entries[0]["steps"][1]
        assert (found["outcome"], found["verdict"]) == ("applied", "error"), "what the killed drill had found is lost"


def test_a_dropped_terminal_session_ends_the_drill_in_order(env_desk: Desk) -> None:
    """As ssh that breaks off: the kernel hangs up on the drill, and nothing can be written to its terminal any more."""
    master, terminal = os.openpty()
    script = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONGEST_S)
        environ = {**os.environ, gate.PHASE: "reload", gate.PORT: str(server.getsockname()[1])}
        process = subprocess.Popen(
            [sys.executable, "-c", script, *env_desk.command("--apply", "-p", "tests.drill.gate")],
            cwd=ROOT,
            env={**environ, **settings(Phase("reload"))},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=default_signals,  # noqa: PLW1509 - no threads are running here
        )
        os.close(terminal)
        try:
            with knock_at(server, master) as connection:
                assert connection.recv(100) == b"reload"
                os.close(master)
                assert process.wait(LONGEST_S) == 12
        finally:
            process.kill()
            process.wait()
    (entry,) = env_desk.journal()
    assert (entry["result"], entry["exit_code"]) == ("interrupted", 12)
    assert len(env_desk.found_reports()) == 1


def knock_at(server: socket.socket, master: int) -> socket.socket:
    """Be the terminal, which takes what is written to it, until the drill knocks."""
    while True:
        ready, _, _ = select.select([server.fileno(), master], [], [], LONGEST_S)
        if server.fileno() in ready:
            return server.accept()[0]
        assert ready, "the drill is silent"
        os.read(master, 65536)


def test_a_reader_that_has_seen_enough_does_not_stop_the_drill(env_desk: Desk) -> None:
    """``| head``: the pipe breaks after the first row."""
    environ = {**os.environ, **settings(Phase("step")), "PYTHONUNBUFFERED": "1"}
    begun = subprocess.Popen(
        env_desk.command("--apply"), cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with surely_ended(begun) as process:
        assert process.stdout is not None
        while b"preflight.env_file" not in process.stdout.readline():
            assert process.poll() is None
        process.stdout.close()
        assert process.wait(LONGEST_S) == 1
    (entry,) = env_desk.journal()
    assert (entry["result"], entry["exit_code"]) == ("failure", 1)
    assert env_desk.env_file.read_bytes() == AFTER

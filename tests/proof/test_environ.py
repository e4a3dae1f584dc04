"""The environment of a local process: proof where it is rolled back, a doubt where it is not, and nobody else's."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drill.proof import listeners as listeners_module
from drill.proof.environ import environs
from drill.proof.flags import Flag
from drill.proof.listeners import is_same, listeners, started_at
from drill.proof.spoken import Spoken
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.world import probes, snapshot, window
from tests.proof.stores import FAISS, Stores, drill_on, judged

LISTEN = """
import os, socket, subprocess, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family) as server:
    server.bind((sys.argv[1], 0))
    server.listen()
    os.set_inheritable(server.fileno(), True)
    if sys.argv[2:]:
        worker = subprocess.Popen(["sleep", "600"], env=dict([sys.argv[2].split("=")]), close_fds=False)
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
    if sys.argv[2:]:
        worker.kill()
"""
ROLLED_BACK = {"FF_RETRIEVAL_DUAL_WRITE": "OFF", "FF_RETRIEVAL_SHADOW_READ": "false", "RETRIEVAL_BACKEND": "faiss"}
ERRORS = "retrieval_dual_write_errors_total{backend=pgvector}"
SKIPPED = "retrieval_dual_write_skipped_total{reason=flag_off}"
OTHER = "retrieval_dual_write_skipped_total{reason=mode_7}"
HELD_BACK = "retrieval_dual_write_skipped_total{reason=circuit_open}"
Start = Callable[..., tuple[str, float]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what starts a process that listens, and tells its URL and when it began."""
    with ExitStack() as stack:

        def run(environ: dict[str, str], *words: str, host: str = "127.0.0.1") -> tuple[str, float]:
            command = [sys.executable, "-c", LISTEN, host, *words]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            process = stack.enter_context(subprocess.Popen(command, env={**environ, "TOKEN": "s3cret-value"}, **pipes))
            assert process.stdin is not None
            stack.callback(process.stdin.close)
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            began = started_at(process.pid)
            assert began is not None
            at = f"[{host}]" if ":" in host else "127.0.0.1"
            return f"http://{at}:{port}", began

        yield run


def seen(url: str, began: float | None, counted: Mapping[str, float] | None = None) -> Any:
    """Return a window of one instance whose metrics say that it ``began`` then, and has ``counted`` so much before."""
    pages = [snapshot(url, {FAISS: count, **(counted or {})}, started=began) for count in (5, 25)]
    return window(pages[:1], pages[1:], probes(20, (url,)))


def concluded(
    folder: Path, url: str, began: float | None, counted: Mapping[str, float] | None = None, **writes: Any
) -> Evidence:
    """Judge dual-write of one instance."""
    toml = f'[service]\ninstances = ["{url}"]\ntenants = ["a"]\ndual_write_lag_s = 0.0\n'
    toml += '[target]\nkind = "pgvector"\ndsn_env = "DSN"\n'
    drill = drill_on(folder, stores := Stores(), toml=toml)
    return judged(drill, stores, seen=seen(url, began, counted), **writes)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_process_with_the_flag_off_in_its_environment_says_so(start: Start, tmp_path: Path, host: str) -> None:
    """The instance is matched to the process by its port and by when it began."""
    evidence = concluded(tmp_path, *start(ROLLED_BACK, host=host))
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "started")
    assert evidence.reason.startswith("started with the flag as after the rollback: ")


def test_an_environment_that_was_kept_is_a_doubt_and_no_failure(start: Start, tmp_path: Path) -> None:
    """Restarted with the old environment: it wins over the file in most services, not in all."""
    evidence = concluded(tmp_path, *start({"FF_RETRIEVAL_DUAL_WRITE": "ON"}))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "holds another FF_RETRIEVAL_DUAL_WRITE than the file: in most it wins" in evidence.reason


@pytest.mark.parametrize("counted", [ERRORS, HELD_BACK])
def test_what_the_service_does_decides_against_its_environment(start: Start, tmp_path: Path, counted: str) -> None:
    """A service that reads the file alone is rolled back well, whatever its environment holds: its writer did try."""
    url, began = start({"FF_RETRIEVAL_DUAL_WRITE": "ON"})
    evidence = concluded(tmp_path, url, began, counted={counted: 3}, a={"n1": "x1"})
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "effect")
    assert "what the service does says otherwise, and decides" in evidence.reason


@pytest.mark.parametrize(
    "counted", [{}, {ERRORS: 0}, {SKIPPED: 9}, {OTHER: 9}], ids=["nothing", "zero", "off", "unknown"]
)
def test_a_writer_never_seen_at_work_may_be_on_and_do_nothing(
    start: Start, tmp_path: Path, counted: dict[str, float]
) -> None:
    """The environment wins over the file in most services, and nothing that stays away from the target shows it."""
    url, began = start({"FF_RETRIEVAL_DUAL_WRITE": "ON"})
    evidence = concluded(tmp_path, url, began, counted=counted, a={"n1": "x1"})
    assert (evidence.verdict, evidence.proof) == (Verdict.INCONCLUSIVE, "restart")
    assert "in most it wins" in evidence.reason
    assert "a writer that is on and does nothing would look the same" in evidence.reason


def test_the_process_own_word_settles_what_its_environment_leaves_open(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that the flag is off: nothing further is asked for."""
    url, began = start({"FF_RETRIEVAL_DUAL_WRITE": "ON"})
    monkeypatch.setattr("drill.proof.spoken.ask", lambda _drill, workers: {url: Spoken({Flag.DUAL_WRITE: True})})
    evidence = concluded(tmp_path, url, began, a={"n1": "x1"})
    assert (evidence.verdict, evidence.proof) == (Verdict.PASS, "process")
    assert "a writer that is on and does nothing" not in evidence.reason
    assert "the process itself says otherwise, and decides" in evidence.reason


@pytest.mark.parametrize("environ", [{}, {"FF_RETRIEVAL_DUAL_WRITE": "maybe"}])
def test_an_environment_without_the_flag_says_nothing(start: Start, tmp_path: Path, environ: dict[str, str]) -> None:
    """A service that reads its env file by itself has none there."""
    assert concluded(tmp_path, *start(environ)).verdict is Verdict.INCONCLUSIVE


def test_a_process_that_forwards_the_port_is_not_the_instance(start: Start, tmp_path: Path) -> None:
    """A tunnel has the environment of whoever opened it: its start is not the one that the metrics tell of."""
    url, began = start(ROLLED_BACK)
    evidence = concluded(tmp_path, url, began - 60)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "not the one that its metrics tell of" in str(evidence.detail["environment 1"])
    assert not is_same(os.getpid(), None)


def test_workers_that_share_the_socket_must_all_agree(start: Start, tmp_path: Path) -> None:
    """One of them has the flag on."""
    evidence = concluded(tmp_path, *start(ROLLED_BACK, "FF_RETRIEVAL_DUAL_WRITE=ON"))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "holds another FF_RETRIEVAL_DUAL_WRITE than the file" in evidence.reason


@pytest.mark.parametrize(("environ", "doubted"), [(ROLLED_BACK, False), ({"FF_RETRIEVAL_DUAL_WRITE": "ON"}, True)])
def test_a_worker_without_the_flag_in_its_environment_is_spoken_for_by_none(
    start: Start, tmp_path: Path, environ: dict[str, str], doubted: bool
) -> None:
    """It reads its file, whatever the other was started with; one that has the flag on is a doubt all the same."""
    evidence = concluded(tmp_path, *start(environ, "OTHER=1"))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert ("holds another FF_RETRIEVAL_DUAL_WRITE" in evidence.reason) is doubted


def test_another_users_process_is_said_to_be_one(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sockets cannot be seen: the row says why the environment is no help."""
    url, began = start(ROLLED_BACK)
    monkeypatch.setattr(listeners_module, "_holders", lambda _inodes: set())
    evidence = concluded(tmp_path, url, began)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "another user's process listens there" in str(evidence.detail["environment 1"])


def test_another_machine_has_no_listener_here(start: Start) -> None:
    """An address that is not this machine's (documentation range); a name that a server would be asked for."""
    port = start(ROLLED_BACK)[0].rpartition(":")[2]
    for host in ("192.0.2.7", "no-such-host.invalid"):
        assert listeners(f"http://{host}:{port}") == listeners_module.Listeners()


def test_only_the_flags_are_kept_of_an_environment(start: Start, tmp_path: Path) -> None:
    """Nothing else of it is remembered, and nothing is read twice of the same process."""
    url, began = start(ROLLED_BACK)
    drill = drill_on(tmp_path, Stores(), toml=f'[service]\ninstances = ["{url}"]\n')
    found = environs(drill, seen(url, began))
    assert dict(found[url].rolled_back) == dict.fromkeys(Flag, True)
    assert "s3cret-value" not in repr(drill.environs)
    assert environs(drill, seen(url, began))[url] is found[url]

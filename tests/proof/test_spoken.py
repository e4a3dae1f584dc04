"""What a process says of its own flags proves them, unless it is seen to disobey; what contradicts fails."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drill.proof.flags import Flag
from drill.proof.judge import prove_backend, prove_shadow
from drill.proof.sent import BALANCED, WORKERS
from drill.proof.spoken import ask, rolled_back
from drill.verdict import Verdict
from tests.library.server import ScriptedService, as_json, running
from tests.library.world import make_drill, probes, snapshot, window
from tests.proof.stores import FAISS, Stores, attach, judged

OFF = {"dual_write": False, "shadow_read": False, "backend": "faiss"}


@pytest.mark.parametrize(
    ("flag", "value", "back"),
    [
        (Flag.DUAL_WRITE, False, True),
        (Flag.DUAL_WRITE, "OFF", True),
        (Flag.DUAL_WRITE, 0, True),
        (Flag.DUAL_WRITE, 0.0, True),
        (Flag.DUAL_WRITE, 1.0, False),
        (Flag.DUAL_WRITE, True, False),
        (Flag.DUAL_WRITE, "on", False),
        (Flag.DUAL_WRITE, 1, False),
        (Flag.DUAL_WRITE, None, None),
        (Flag.DUAL_WRITE, "", None),
        (Flag.DUAL_WRITE, "faiss", None),
        (Flag.DUAL_WRITE, [], None),
        (Flag.DUAL_WRITE, {}, None),
        (Flag.BACKEND, "FAISS", True),
        (Flag.BACKEND, "pgvector", False),
        (Flag.BACKEND, "", None),
        (Flag.BACKEND, None, None),
        (Flag.BACKEND, False, None),
    ],
)
def test_only_known_words_are_understood(flag: Flag, value: object, back: bool | None) -> None:
    """What is neither the value of the rollback nor another known one says nothing."""
    assert rolled_back(flag, value) is back


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with running(ScriptedService()) as server:
        yield server


def spoken(server: ScriptedService, folder: Path, said: object, flags: str = "") -> Any:
    """Return a drill of one instance that says ``said`` of itself."""
    server.script["GET", "/flags"] = lambda _body: as_json(said)
    toml = (
        f'[service]\nbase_url = "{server.url}"\ninstances = ["{server.url}"]\nflags_path = "/flags"\n'
        f'dual_write_lag_s = 0.0\ntenants = ["a", "b"]\n{flags}\n[target]\nkind = "pgvector"\ndsn_env = "DSN"\n'
    )
    return make_drill(folder, toml=toml, environ={"DSN": "x"})


def quiet(url: str, **more: float) -> Any:
    """Return a window in which the instance served its probes, and ``more`` moved."""
    return window([snapshot(url, {FAISS: 5})], [snapshot(url, {FAISS: 25, **more})], probes(20, (url,)))


def test_the_process_own_word_proves_each_flag(server: ScriptedService, tmp_path: Path) -> None:
    """Where nothing can be seen of a flag, what the process says of it is enough."""
    drill = attach(spoken(server, tmp_path, OFF), stores := Stores())
    seen = quiet(server.url)
    dual_write = judged(drill, stores, seen=seen)
    shadow = prove_shadow(drill, seen)
    assert [(one.verdict, one.proof) for one in (dual_write, shadow)] == [(Verdict.PASS, "process")] * 2
    assert shadow.reason.startswith("proven by the process: ")
    assert prove_backend(drill, seen).proof == "effect"


def test_a_process_that_says_on_contradicts(server: ScriptedService, tmp_path: Path) -> None:
    """A restart that kept the old environment is seen by what the process says."""
    drill = attach(spoken(server, tmp_path, {**OFF, "dual_write": True}), stores := Stores())
    evidence = judged(drill, stores, seen=quiet(server.url), a={"n1": "x"})
    assert evidence.verdict is Verdict.FAIL
    assert "says itself that FF_RETRIEVAL_DUAL_WRITE is not OFF" in evidence.reason


@pytest.mark.parametrize(
    ("name", "verdict", "told"),
    [
        ("faiss-flat", Verdict.PASS, 'if it is FAISS, set [metrics.values] faiss = "faiss-flat"'),
        ("LocalIndex", Verdict.PASS, 'the drill does not know the backend "LocalIndex"'),
        (" Own ", Verdict.PASS, ""),
        ("pgvector", Verdict.FAIL, "says itself that RETRIEVAL_BACKEND is not faiss"),
        ("Qdrant Cloud", Verdict.FAIL, "says itself that RETRIEVAL_BACKEND is not faiss"),
    ],
)
def test_a_backend_of_an_unknown_name_is_asked_about_and_the_name_of_a_target_contradicts(
    server: ScriptedService, tmp_path: Path, name: str, verdict: Verdict, told: str
) -> None:
    """A service names FAISS as it likes; what it does shows which one it is, and a word of the operator says it."""
    words = {**OFF, "backend": name}
    drill = spoken(server, tmp_path, words, '[metrics.values]\nfaiss = "own"\n')
    evidence = prove_backend(drill, quiet(server.url))
    assert evidence.verdict is verdict
    assert told in f"{evidence.reason}{evidence.detail}"
    assert ("the drill does not know" in f"{evidence.reason}") == (told != "" and verdict is Verdict.PASS)


def test_a_backend_that_is_named_for_the_drill_is_faiss_by_the_process_word(
    server: ScriptedService, tmp_path: Path
) -> None:
    """By ``[metrics.values] faiss``, as in the metrics; an unknown one is no word."""
    drill = spoken(server, tmp_path, {**OFF, "backend": "Own"}, '[metrics.values]\nfaiss = "own"\n')
    assert ask(drill)[server.url].rolled_back[Flag.BACKEND] is True
    (tmp_path / "other").mkdir()
    drill = spoken(server, tmp_path / "other", {**OFF, "backend": "strange"})
    assert Flag.BACKEND not in ask(drill)[server.url].rolled_back


def test_an_instance_that_disobeys_one_flag_vouches_for_no_other(server: ScriptedService, tmp_path: Path) -> None:
    """Its shadow counters move: what it says of dual-write is not believed either."""
    drill = attach(spoken(server, tmp_path, OFF), stores := Stores())
    seen = quiet(server.url, retrieval_shadow_latency_seconds_count=3)
    assert prove_shadow(drill, seen).verdict is Verdict.FAIL
    assert judged(drill, stores, seen=seen).verdict is Verdict.INCONCLUSIVE


def test_flags_are_mapped_by_jmespath(server: ScriptedService, tmp_path: Path) -> None:
    """A service may call its flags as it likes, wherever they stand."""
    said = {"features": [{"name": "mirror", "state": "disabled"}], "reads": {"shadow": 0, "from": "faiss"}}
    flags = "[service.flags]\ndual_write = \"features[?name=='mirror'].state | [0]\"\n"
    flags += 'shadow_read = "reads.shadow"\nbackend = "reads.from"\n'
    found = ask(spoken(server, tmp_path, said, flags))
    assert dict(found[server.url].rolled_back) == dict.fromkeys(Flag, True)


@pytest.mark.parametrize("said", [{}, [], {"dual_write": "perhaps"}, None])
def test_an_answer_that_says_nothing_of_a_flag_proves_nothing(
    server: ScriptedService, tmp_path: Path, said: object
) -> None:
    """The row is inconclusive and says what was missing."""
    drill = attach(spoken(server, tmp_path, said), stores := Stores())
    evidence = judged(drill, stores, seen=quiet(server.url))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "/flags" in evidence.reason


def test_workers_that_share_a_port_must_all_say_so(server: ScriptedService, tmp_path: Path) -> None:
    """One of several answers says that the flag is on."""
    drill = attach(spoken(server, tmp_path, OFF), stores := Stores())
    answers = iter([OFF, OFF, {**OFF, "dual_write": True}, *[OFF] * 100])
    server.script["GET", "/flags"] = lambda _body: as_json(next(answers))
    assert judged(drill, stores, seen=quiet(server.url)).verdict is Verdict.FAIL


def test_without_a_mapping_the_keys_of_the_env_file_are_understood_too(server: ScriptedService, tmp_path: Path) -> None:
    """A service that shows its environment says its flags by their own keys."""
    said = {"FF_RETRIEVAL_DUAL_WRITE": "OFF", "FF_RETRIEVAL_SHADOW_READ": "ON", "RETRIEVAL_BACKEND": "faiss"}
    (told,) = (one.rolled_back for one in ask(spoken(server, tmp_path, said)).values())
    assert told == {Flag.DUAL_WRITE: True, Flag.SHADOW_READ: False, Flag.BACKEND: True}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([OFF, OFF, {}, OFF], None),  # one of the workers may have it on
        ([{}, {**OFF, "dual_write": True}, {}, {}], False),
        ([OFF, OFF, OFF, OFF], True),
    ],
)
def test_a_worker_that_says_nothing_is_spoken_for_by_none(
    server: ScriptedService, tmp_path: Path, answers: list[object], told: bool | None
) -> None:
    """One that says that the flag is on speaks for itself."""
    drill = spoken(server, tmp_path, OFF)
    left = iter(answers)
    server.script["GET", "/flags"] = lambda _body: as_json(next(left))
    assert ask(drill)[server.url].rolled_back.get(Flag.DUAL_WRITE) is told
    assert next(left, None) is None


@pytest.mark.parametrize(("listed", "times", "asked"), [(True, 0, WORKERS), (False, 0, BALANCED), (True, 1, 1)])
def test_each_instance_is_asked_as_often_as_it_takes_to_meet_its_workers(
    server: ScriptedService, tmp_path: Path, listed: bool, times: int, asked: int
) -> None:
    """An address that stands for several instances more often."""
    server.script["GET", "/flags"] = as_json(OFF)
    instances = f'instances = ["{server.url}"]' if listed else ""
    toml = f'[service]\nbase_url = "{server.url}"\n{instances}\nflags_path = "/flags"\n'
    ask(make_drill(tmp_path, toml=toml), times=times)
    assert server.asked.count(("GET", "/flags")) == len(server.connections) == asked

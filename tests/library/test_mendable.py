"""What a rollback mends: no row is red before it for what the sick target may have caused."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drill.checks.chat import chat
from drill.checks.smoke import embed, search
from drill.context import Drill
from drill.record import Evidence
from drill.rollback import Rollback
from drill.runner import Runner
from drill.verdict import Result, Verdict
from tests.library.server import Answer, ScriptedService, as_json, html, scripted
from tests.library.world import MIGRATING, Probes, start, with_primary, with_probes

SEARCH, EMBED, CHAT = "/internal/retrieval/search", "/internal/retrieval/embed", "/chat/advise"
ROWS: dict[str, tuple[str, Callable[[Drill], Evidence]]] = {
    SEARCH: ("smoke.search", search),
    EMBED: ("smoke.embed", embed),
    CHAT: ("smoke.chat", chat),
}
ON_FAISS = MIGRATING.replace("pgvector", "faiss")


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        server.script["GET", "/health"] = as_json({})
        server.script["POST", SEARCH] = results
        server.script["POST", EMBED] = vectors([1, 0], [0, 1])
        server.script["POST", CHAT] = as_json({"answer": "read the runbook"})
        yield server


def results(body: dict[str, Any]) -> Answer:
    name = body["query"].rpartition(" ")[2]
    return as_json({"results": [{"id": name, "score": 1.0, "metadata": {}}]})


def vectors(*found: object) -> Answer:
    return as_json({"vectors": list(found)})


def judged(folder: Path, server: ScriptedService, path: str, *, toml: str = "", env: str = MIGRATING) -> Evidence:
    """Return what a dry-run says of the row that asks ``path``."""
    launched = start(folder, toml=f'[service]\ninstances = ["{server.url}"]\n{toml}', env=env)
    drill = launched.drill
    assert drill is not None
    runner = Runner(with_probes(with_primary(drill), Probes()), Rollback(drill))
    name, look = ROWS[path]
    entry = runner.smoke(name, look)
    evidence = entry.evidence
    assert entry.required is (evidence.verdict is not Verdict.NOT_RUN)
    for row in launched.record.entries.values():
        if row.evidence.verdict is Verdict.NOT_RUN:
            row.evidence = Evidence(Verdict.PASS, "well")
    results = {Verdict.FAIL: Result.FAILURE, Verdict.INCONCLUSIVE: Result.INCONCLUSIVE}
    assert launched.record.result is results.get(evidence.verdict, Result.SUCCESS)
    return evidence


STAYS = [
    *((path, as_json({}, status)) for path in ROWS for status in (401, 403, 405, 422, 429, 302)),
    (EMBED, vectors([0, 0], [0, 0])),
    (EMBED, vectors([1, 0, 0], [0, 1, 0])),
    (EMBED, vectors([1, 0], [1, 0])),
    (EMBED, vectors([float("nan"), 0], [1, 0])),
    (EMBED, as_json({"embeddings": []})),
]


@pytest.mark.parametrize(("path", "answer"), STAYS)
def test_what_no_rollback_mends_is_a_failure_in_a_dry_run(
    tmp_path: Path, server: ScriptedService, path: str, answer: Answer
) -> None:
    """A dry-run that has measured it does not say that the rollback can be applied."""
    server.script["POST", path] = answer
    evidence = judged(tmp_path, server, path)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.reason.startswith("would be red after --apply: ")


@pytest.mark.parametrize("path", ROWS)
def test_a_path_that_is_not_served_is_a_failure_and_named_with_its_key(
    tmp_path: Path, server: ScriptedService, path: str
) -> None:
    """A router's 404 is told from an endpoint's own."""
    del server.script["POST", path]
    key = {SEARCH: "search_path", EMBED: "embed_path", CHAT: "chat_path"}[path]
    evidence = judged(tmp_path, server, path)
    assert evidence.verdict is Verdict.FAIL
    assert f"does not serve {path} ([service] {key})" in evidence.reason


def _hangs_up(_body: object) -> Answer:
    raise ConnectionAbortedError


MENDED = [
    *((path, as_json({}, status)) for path in ROWS for status in (500, 502, 503, 504, 408)),
    *((path, _hangs_up) for path in ROWS),
    (SEARCH, as_json({"results": []})),
    (SEARCH, as_json({"results": [{"id": "only-on-the-target", "score": 1.0, "metadata": {}}]})),
    (SEARCH, as_json({"results": [{"id": "d1", "score": 1.0, "metadata": {}}]})),
]


@pytest.mark.parametrize(("path", "answer"), MENDED)
def test_what_a_sick_target_may_cause_is_not_judged_before_the_rollback(
    tmp_path: Path, server: ScriptedService, path: str, answer: Answer
) -> None:
    """Errors, silence, and documents that only the target has: that is the incident."""
    server.script["POST", path] = answer
    evidence = judged(tmp_path, server, path)
    assert evidence.verdict is Verdict.NOT_RUN
    assert "before the rollback: fail" in evidence.reason


UNKNOWN = [
    *((path, html()) for path in ROWS),
    *((path, as_json({"detail": "bad"}, 400)) for path in ROWS),
    *((path, as_json({"detail": "no such tenant"}, 404)) for path in ROWS),
    (SEARCH, as_json({"hits": []})),
    (CHAT, as_json({"error": "later"})),
]


@pytest.mark.parametrize(("path", "answer"), UNKNOWN)
def test_what_may_be_the_target_or_not_is_inconclusive(
    tmp_path: Path, server: ScriptedService, path: str, answer: Answer
) -> None:
    """Neither red nor called ready."""
    server.script["POST", path] = answer
    evidence = judged(tmp_path, server, path)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.reason.startswith("not known before --apply: ")


def test_wrong_documents_where_the_file_says_faiss_are_no_news_of_the_target(
    tmp_path: Path, server: ScriptedService
) -> None:
    """If FAISS answers already, its documents will not be others."""
    server.script["POST", SEARCH] = as_json({"results": []})
    assert judged(tmp_path, server, SEARCH, env=ON_FAISS).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("text", ["expect_text = 'handbook'", "forbid_text = 'read  THE runbook'"])
@pytest.mark.parametrize(
    ("searched", "verdict"),
    [(results, Verdict.FAIL), (as_json({}, 503), Verdict.NOT_RUN), (as_json({"results": []}), Verdict.NOT_RUN)],
)
def test_a_chat_that_falls_back_is_red_only_where_its_searches_are_well(
    tmp_path: Path, server: ScriptedService, text: str, searched: Answer, verdict: Verdict
) -> None:
    """Without retrieval a chat has nothing to answer from, and the rollback gives it back."""
    server.script["POST", SEARCH] = searched
    assert judged(tmp_path, server, CHAT, toml=f"[service.chat]\n{text}\n").verdict is verdict


def test_a_chat_whose_searches_are_too_slow_may_fall_back(tmp_path: Path, server: ScriptedService) -> None:
    """A slow target is mended by the rollback, and a chat may not wait for it."""
    toml = "[service.chat]\nexpect_text = 'handbook'\n[slo]\np95_ms = 0.001\n"
    assert judged(tmp_path, server, CHAT, toml=toml).verdict is Verdict.NOT_RUN


def test_answers_that_are_well_are_not_judged_before_the_rollback(tmp_path: Path, server: ScriptedService) -> None:
    """What holds now may not hold then."""
    for path in ROWS:
        (tmp_path / path[-3:]).mkdir()
        assert judged(tmp_path / path[-3:], server, path).verdict is Verdict.NOT_RUN


def test_with_apply_the_same_is_judged_as_before(tmp_path: Path, server: ScriptedService) -> None:
    """Before the reload nothing is foretold: the rollback is about to be judged itself."""
    server.script["POST", SEARCH] = as_json({}, 401)
    drill = start(
        tmp_path, toml=f"[service]\ninstances = {json.dumps([server.url])}\n", env=MIGRATING, apply=True
    ).drill
    assert drill is not None
    entry = Runner(with_primary(drill), Rollback(drill)).smoke("smoke.search", search)
    assert entry.evidence.verdict is Verdict.NOT_RUN

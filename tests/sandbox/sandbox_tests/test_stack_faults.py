"""Faults of a running stack: each does what it says, where it is switched on, until it is switched off."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sandbox.errors import SandboxError
from sandbox.faults import FAULTS
from sandbox.stack import Stack

from .stack_support import counted, faulty, in_database, post, rolled_back_once, search, status, until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A healthy target, a seeded delta, no background users: counters move only when asked. Shared: slow to start."""
    home: Path = tmp_path_factory.mktemp("stack") / "home"
    with Stack.start(home, incident=False, traffic=False, delta=True) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("login_page", lambda url: "html" in search(url).headers["content-type"]),
        ("redirect", lambda url: search(url).status_code == 302),
        ("empty_results", lambda url: search(url).json()["results"] == []),
        ("other_tenant_results", lambda url: search(url).json()["results"][0]["metadata"]["tenant"] == "acme"),
        ("unknown_ids", lambda url: "gone" in search(url).json()["results"][0]["id"]),
        ("same_results", lambda url: search(url, "lambda").json() == search(url, "metaclass").json()),
        ("health_lies", lambda url: search(url).status_code == 503 and httpx.get(f"{url}/health").status_code == 200),
        ("nan_vectors", lambda url: "NaN" in post(url, "/internal/retrieval/embed", {"texts": ["a"]}).text),
        (
            "zero_vectors",
            lambda url: not any(post(url, "/internal/retrieval/embed", {"texts": ["a"]}).json()["vectors"][0]),
        ),
        (
            "wrong_dimension",
            lambda url: len(post(url, "/internal/retrieval/embed", {"texts": ["a"]}).json()["vectors"][0]) == 128,
        ),
        ("embed_errors", lambda url: post(url, "/internal/retrieval/embed", {"texts": ["a"]}).status_code == 503),
        ("chat_errors", lambda url: post(url, "/chat/advise", {"question": "a"}).status_code == 503),
        ("chat_empty", lambda url: post(url, "/chat/advise", {"question": "a"}).json()["answer"] == ""),
        ("endpoint_missing", lambda url: httpx.get(f"{url}/internal/retrieval/stats").status_code == 500),
        ("errors_5_percent", lambda url: [search(url).status_code for _ in range(40)].count(503) == 2),
        ("slow_median", lambda url: search(url).elapsed.total_seconds() >= 0.2),
        ("slow_tail", lambda url: max(search(url).elapsed.total_seconds() for _ in range(10)) >= 0.8),
        ("metrics_html", lambda url: "html" in httpx.get(f"{url}/metrics").text),
        ("metrics_missing", lambda url: "retrieval_" not in httpx.get(f"{url}/metrics").text),
        ("metrics_renamed", lambda url: "rag_requests" in httpx.get(f"{url}/metrics").text),
        ("metrics_frozen", lambda url: httpx.get(f"{url}/metrics").text == httpx.get(f"{url}/metrics").text),
        ("backend_flag_ignored", lambda url: status(url)["backend"] == "pgvector"),
        ("shadow_read_flag_ignored", lambda url: status(url)["shadow_read"]),
        ("shadow_one_percent", lambda url: status(url)["shadow_sample_rate"] == 0.01),
    ],
)
def test_a_fault_does_what_it_says_on_its_instance_only(stack: Stack, name: str, broken: Callable[[str], bool]) -> None:
    """And is gone when it is switched off."""
    faulty_url, sound_url = stack.base_urls
    with rolled_back_once(stack), faulty(stack, name, 0):
        assert broken(faulty_url)
        assert not broken(sound_url)
    assert not broken(faulty_url)


def test_background_faults_move_the_numbers(stack: Stack) -> None:
    """A job that calls the target, an outbox that fills, one tenant that is still written twice."""
    url = stack.base_urls[0]
    with rolled_back_once(stack):
        with faulty(stack, "background_target_calls", 0), faulty(stack, "outbox_growing", 0):
            until(lambda: counted(url, "retrieval_requests_total", backend="pgvector") >= 2)
            until(lambda: counted(url, "retrieval_dual_write_outbox_size") >= 2)
        with faulty(stack, "dual_write_one_tenant", 0):
            for tenant in ("default", "acme"):
                body = {"tenant": tenant, "documents": [{"id": f"{tenant}-one-tenant", "text": "some text"}]}
                assert post(url, "/internal/retrieval/ingest", body).status_code == 200
            until(lambda: in_database(stack, "id = 'acme-one-tenant'") == 1)
            assert in_database(stack, "id = 'default-one-tenant'") == 0


@pytest.mark.parametrize("name", ["faiss_emptied", "faiss_truncated", "faiss_mismatch"])
def test_a_damaged_snapshot_is_put_back_when_the_fault_is_switched_off(stack: Stack, name: str) -> None:
    """While it is on, writes fail instead of repairing it."""
    before = {path: path.read_bytes() for path in stack.faiss_dir.rglob("*") if path.is_file()}
    body = {"documents": [{"id": "default-x", "text": "x"}]}
    with faulty(stack, name):
        assert {path: path.read_bytes() for path in before if path.exists()} != before
        assert post(stack.base_urls[0], "/internal/retrieval/ingest", body).status_code == 503
    assert {path: path.read_bytes() for path in before} == before
    assert post(stack.base_urls[0], "/internal/retrieval/ingest", body).status_code == 200


def test_an_unknown_fault_is_one_line(stack: Stack) -> None:
    """It says where the names are."""
    with pytest.raises(SandboxError, match="fault --list"):
        stack.fault("no_such_fault")


def test_every_fault_has_a_line() -> None:
    """At most one sentence or two, for `fault --list`."""
    assert len(FAULTS) >= 38
    assert all(10 < len(fault.doc) < 110 for fault in FAULTS.values())

"""The stack end to end: both instances, the database, flags, reloads, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from sandbox.corpus import golden_ids
from sandbox.errors import SandboxError
from sandbox.home import ROOT, Home, State
from sandbox.processes import alive
from sandbox.service.target import TABLE
from sandbox.stack import Stack

from .stack_support import (
    ROLLED_BACK,
    counted,
    env_edited,
    faulty,
    in_database,
    post,
    scrape,
    search,
    status,
    until,
)

FAMILIES = {
    "retrieval_requests",
    "retrieval_errors",
    "retrieval_latency_seconds",
    "retrieval_dual_write_errors",
    "retrieval_dual_write_skipped",
    "retrieval_dual_write_outbox_size",
    "retrieval_dual_write_outbox_dropped",
    "retrieval_shadow_agreement_at_5",
    "retrieval_shadow_ndcg_at_10",
    "retrieval_shadow_latency_seconds",
    "retrieval_shadow_dropped",
    "http_requests",
    "process_start_time_seconds",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A healthy target, a seeded delta, no background users: counters move only when asked. Shared: slow to start."""
    home: Path = tmp_path_factory.mktemp("stack") / "home"
    with Stack.start(home, incident=False, traffic=False, delta=True) as running:
        yield running


def test_the_seeded_delta_is_in_the_database(stack: Stack) -> None:
    """Orphans, stale and missing are there in the numbers that the stack tells; together well below 5 %."""
    hashes: dict[tuple[str, str], str] = {}
    with psycopg.connect(stack.dsn) as connection:
        for tenant, one, text in connection.execute(f"select tenant, id, text from {TABLE}"):
            hashes[tenant, one] = text
    primary = {
        (tenant.name, document["id"]): document["text"]
        for tenant in stack.faiss_dir.iterdir()
        for document in json.loads((tenant / "docs.json").read_bytes())
    }
    both = hashes.keys() & primary.keys()
    seeded = stack.seeded
    assert len(hashes.keys() - primary.keys()) == seeded.orphans > 0
    assert len(primary.keys() - hashes.keys()) == seeded.missing > 0
    assert sum(hashes[key] != primary[key] for key in both) == seeded.stale > 0
    assert (seeded.orphans + seeded.stale) / len(hashes) < 0.03


def test_both_instances_answer_on_every_endpoint(stack: Stack) -> None:
    """Search finds the golden answer, with its tenant; embed, chat, status and health answer."""
    query, expected = next(iter(golden_ids("default").items()))
    for url in stack.base_urls:
        results = search(url, query).json()["results"]
        assert results[0]["id"] == expected
        assert all(one["metadata"]["tenant"] == "default" for one in results)
        vectors = post(url, "/internal/retrieval/embed", {"texts": ["a", "b c"]}).json()["vectors"]
        assert [len(vector) for vector in vectors] == [256, 256]
        advice = post(url, "/chat/advise", {"question": query}).json()
        assert advice["answer"]
        assert expected in advice["sources"]
        assert httpx.get(f"{url}/health").status_code == 200
        assert "/internal/retrieval/search" in httpx.get(f"{url}/openapi.json").json()["paths"]


def test_every_metric_family_is_there_before_anything_rare_has_happened(stack: Stack) -> None:
    """Registered at start, with rare children unborn."""
    for url in stack.base_urls:
        families = scrape(url)
        assert families.keys() >= FAMILIES
        assert families["retrieval_dual_write_skipped"] == []


def test_an_unknown_tenant_is_404_and_a_bad_body_422(stack: Stack) -> None:
    """And neither counts as a failed search."""
    url = stack.base_urls[0]
    before = counted(url, "retrieval_errors_total")
    assert search(url, tenant="nobody").status_code == 404
    assert search(url, query=" ").status_code == 422
    assert counted(url, "retrieval_errors_total") == before


def test_a_write_goes_to_both_sides_and_to_both_instances(stack: Stack) -> None:
    """With dual-write on, the target has it too."""
    body = {"tenant": "acme", "documents": [{"id": "acme-new-1", "text": "xylophone repair manual"}]}
    assert post(stack.base_urls[0], "/internal/retrieval/ingest", body).status_code == 200
    until(lambda: in_database(stack, "id = 'acme-new-1'") == 1)
    with env_edited(stack, ROLLED_BACK):
        stack.reload()
        other = search(stack.base_urls[1], "xylophone repair manual", "acme").json()["results"]
        assert other[0]["id"] == "acme-new-1"
    stack.reload()


def test_a_failed_search_is_503_and_counted_by_its_class(stack: Stack) -> None:
    """On the instance where the target is down; the other one goes on."""
    bad, good = stack.base_urls[1], stack.base_urls[0]
    before = counted(bad, "retrieval_errors_total", code="connection")
    with faulty(stack, "target_down", 1):
        assert search(bad).status_code == 503
        assert search(good).status_code == 200
    assert counted(bad, "retrieval_errors_total", code="connection") == before + 1


def test_a_reload_is_a_restart_that_takes_the_edited_flags(stack: Stack) -> None:
    """New processes on the same ports; FAISS answers, nothing goes to the target or the shadow."""
    started = [counted(url, "process_start_time_seconds") for url in stack.base_urls]
    pids = stack.status().instances
    with env_edited(stack, ROLLED_BACK):
        stack.reload()
        assert all(one not in pids for one in stack.status().instances)
        for url, before in zip(stack.base_urls, started, strict=True):
            assert counted(url, "process_start_time_seconds") > before
            assert search(url).status_code == 200
            seen = status(url)
            assert (seen["backend"], seen["dual_write"], seen["shadow_read"]) == ("faiss", False, False)
            assert counted(url, "retrieval_requests_total", backend="faiss") == 1
            assert counted(url, "retrieval_requests_total", backend="pgvector") == 0
            assert scrape(url)["retrieval_shadow_latency_seconds"] == []
    stack.reload()
    assert status(stack.base_urls[0])["backend"] == "pgvector"


def test_an_instance_that_ignores_the_dual_write_flag_writes_to_the_target(stack: Stack) -> None:
    """After a restart with the flag OFF, too; the other instance does not."""
    with env_edited(stack, ROLLED_BACK), faulty(stack, "dual_write_flag_ignored", 1):
        stack.reload()
        for number, url in enumerate(stack.base_urls):
            body = {"documents": [{"id": f"default-ignored-{number}", "text": f"text {number}"}]}
            assert post(url, "/internal/retrieval/ingest", body).status_code == 200
        until(lambda: in_database(stack, "id = 'default-ignored-1'") == 1)
        assert in_database(stack, "id = 'default-ignored-0'") == 0
    stack.reload()


def test_a_wrong_flag_makes_the_reload_fail_in_one_line(stack: Stack) -> None:
    """At once, with the service's own words; a corrected file brings the instance back."""
    began = time.monotonic()
    with (
        env_edited(stack, {"RETRIEVAL_BACKEND": "faisss"}),
        pytest.raises(SandboxError, match="refuses to boot") as caught,
    ):
        stack.reload()
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 8
    stack.reload()
    assert all(httpx.get(f"{url}/health").status_code == 200 for url in stack.base_urls)


def test_crash_on_boot_fails_the_reload_and_instance_not_restarted_skips_it(stack: Stack) -> None:
    """Both leave the other instance alone."""
    first = stack.status().instances
    with faulty(stack, "instance_not_restarted", 0):
        stack.reload()
        assert stack.status().instances[0] == first[0]
        assert stack.status().instances[1] != first[1]
        with env_edited(stack, ROLLED_BACK), faulty(stack, "crash_on_boot", 1):
            with pytest.raises(SandboxError, match="instance 1 exited with 1"):
                stack.reload()
            assert stack.status().instances[1] is None
    stack.reload()


def test_a_home_in_use_or_not_ours_is_refused(stack: Stack, tmp_path: Path) -> None:
    """And left as it was."""
    with pytest.raises(SandboxError, match="already up"):
        Stack.start(stack.home)
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(SandboxError, match="not empty"):
        Stack.start(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def children(stack: Stack) -> list[int]:
    state = State.load(Home(stack.home))
    postmaster = int((Path(state.runtime) / "pgdata" / "postmaster.pid").read_text().split("\n")[0])
    return [state.supervisor, postmaster, *(pid for pid in stack.status().instances if pid)]


def test_in_an_incident_the_circuit_opens_and_after_stop_nothing_is_left(tmp_path: Path) -> None:
    """No process, no file, no socket; a directory that was there before stays, empty."""
    with Stack.start(tmp_path) as stack:
        runtime, pids = Path(State.load(Home(stack.home)).runtime), children(stack)
        until(lambda: "circuit_open" in httpx.get(f"{stack.base_urls[0]}/metrics").text, limit_s=25.0)
        until(lambda: stack.status().traffic.get("writes", 0) > 0)
        env_text = stack.env_file.read_text()
        assert "FF_RETRIEVAL_DUAL_WRITE=ON" in env_text
        assert stack.env_file.stat().st_mode & 0o077 == 0
    assert not any(alive(pid) for pid in pids)
    assert not runtime.exists()
    assert list(tmp_path.iterdir()) == []


def test_after_a_kill_9_of_the_supervisor_the_children_end_and_down_cleans_up(tmp_path: Path) -> None:
    """The database too."""
    home = tmp_path / "home"
    stack = Stack.start(home, traffic=False, incident=False)
    runtime, pids = Path(State.load(Home(home)).runtime), children(stack)
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in pids[1:]))
    stack.stop()
    assert not home.exists()
    assert not runtime.exists()


def test_a_stack_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """However that ends; only ``up`` leaves one running."""
    home = tmp_path / "home"
    code = f"""
import os
from pathlib import Path
from sandbox.stack import Stack
Stack.start(Path({str(home)!r}), incident=False, traffic=False)
print("up", flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "up\n")
    until(lambda: not home.exists())

"""What a hostile service, its metrics, its Prometheus and its files say is shown as text, and obeyed by nothing."""

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from tests.drill.harness import ENV, ROOT, Desk, Ran
from tests.drill.test_foreign_service import make_faiss
from tests.hostile.nasty import (
    ANSI,
    BELLS,
    LINKS,
    LONG,
    MARKUP,
    NASTY,
    NUL,
    TEMPLATE,
    TURNED,
    acted_on,
    obeyed,
    odd_lines,
)
from tests.network.service import Handler, Service

ENV_NAME = "evil\x1b]52;c;ZXZpbA==\x07\u202e<img src=x onerror=alert(4)>;$(touch owned).env"
TENANT = "<b>evil\u202e"
OPENAPI: dict[str, object] = {"paths": {f"/internal/retrieval/{text[:200]}": {"get": {}} for text in NASTY}}
RELOAD = ["sh", "-c", "printf 'evil\\033]52;c;ZXZpbA==\\007<script>'; printf 'evil\\033[2J' >&2"]


def label(text: str) -> str:
    return text[:100_000].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def metrics(handler: Handler) -> None:
    """Count requests under backends with hostile names, and explain everything in hostile words."""
    server = handler.server
    server.metrics.requests.labels("faiss", "default").inc()
    text = generate_latest(server.metrics.registry).decode()
    moved = server.metrics.requests.labels("faiss", "default")._value.get()
    text = text.replace("HELP retrieval_requests_total -", f"HELP retrieval_requests_total {MARKUP}{ANSI}")
    for nasty in (one for one in NASTY if one != NUL):  # which is no metrics page to anybody
        text += f'retrieval_requests_total{{backend="{label(nasty)}",tenant="{label(nasty)[:50]}"}} {moved}\n'
        text += f'retrieval_dual_write_skipped_total{{reason="{label(nasty)}"}} {moved}\n'
    handler.answer(text.encode(), "text/plain; version=0.0.4")


def search(handler: Handler) -> None:
    results = [{"id": text, "score": 0.5, "metadata": {"tenant": handler.asked["tenant"]}} for text in NASTY[:5]]
    handler.answer(json.dumps({"results": results, LONG: MARKUP}).encode())


def embed(handler: Handler) -> None:
    handler.answer(MARKUP.encode(), f"text/{'evil' * 2000}", 503, "evil <script>alert(5)</script>")


def chat(handler: Handler) -> None:
    handler.answer(json.dumps({"answer": [MARKUP, ANSI]}).encode(), "application/json+<b>evil</b>\"'")


def openapi(handler: Handler) -> None:
    handler.answer(json.dumps(OPENAPI).encode())


def prometheus(handler: Handler) -> None:
    body = {"status": "error", "errorType": MARKUP + ANSI, "error": LINKS, "warnings": [BELLS]}
    handler.answer(json.dumps(body).encode(), status=422)


@dataclass(frozen=True)
class Hostile:
    """A desk on a hostile service."""

    desk: Desk
    service: Service


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Hostile]:
    home = tmp_path / "home"
    home.mkdir()
    env_file = home / ENV_NAME
    env_file.write_bytes(ENV)
    docs = make_faiss(home)
    (home / "faiss" / TENANT).mkdir()
    service = Service(env_file, docs)
    service.taken |= {"/metrics": metrics, "/internal/retrieval/search": search, "/internal/retrieval/embed": embed}
    service.taken |= {"/chat/advise": chat, "/openapi.json": openapi, "/api/v1/query": prometheus}
    tenants = json.dumps(["default", TENANT])
    (home / "drill.toml").write_text(
        f'[service]\nbase_url = "{service.url}"\nreload_timeout_s = 1\ntenants = {tenants}\n'
        f"reload_command = {json.dumps(RELOAD)}\n"
        '[slo]\nobserve_s = 1\nmin_requests = 20\nalerts = ""\n'
        '[primary]\npath = "faiss"\n'
    )
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield Hostile(
        Desk(env_file, tmp_path / "left" / "artifacts", tmp_path / "left" / "reports", observe_s="1"), service
    )
    service.shutdown()
    service.server_close()


def examine(desk: Desk, ran: Ran) -> None:
    """Assert that nothing in the artifacts is obeyed, and that they are small."""
    for path in desk.artifacts.rglob("*.ndjson"):
        assert list(odd_lines(path)) == [], path.name
    for page in desk.reports.glob("*.html"):
        acts, text = acted_on(page)
        assert acts == [], page.name
        assert obeyed(text.replace("\t", " ")) == []
        assert page.stat().st_size < 2_000_000
        assert "1337" not in text
    assert len(ran.entries) == 1
    assert not (ROOT / "owned").exists()


def test_a_hostile_service_is_red_and_nothing_that_it_says_is_obeyed(hostile: Hostile) -> None:
    """FAISS has no index for the hostile tenant, so this drill is refused; see below for one that goes on."""
    ran = hostile.desk.drill("--apply", "--purge", "off")
    ran.expect(11)
    assert obeyed(ran.output) == []
    assert r"\u202e" in ran.output
    examine(hostile.desk, ran)


def test_every_row_of_a_hostile_service_shows_what_it_saw_as_text(hostile: Hostile) -> None:
    toml = hostile.desk.env_file.with_name("drill.toml")
    toml.write_text(toml.read_text().replace(json.dumps(["default", TENANT]), '["default"]'))
    ran = hostile.desk.drill("--apply", "--purge", "off", "-rA", "-vv")
    ran.expect(1)
    assert obeyed(ran.output) == []
    assert {"force_faiss", "smoke.search", "smoke.embed", "smoke.chat", "post.endpoints"} <= ran.not_green, ran
    assert r"\x1b[2J" in ran.reason("force_faiss")
    assert max(len(row["reason"]) for row in (*ran.entry["steps"], *ran.entry["checks"])) <= 4000
    examine(hostile.desk, ran)
    (report,) = (page for page in ran.reports if page.name != "index.html")
    _, text = acted_on(report)
    for seen in ("<script>alert(1)</script>", r"\x1b]52;c;ZXZpbA==\x07", "onerror=alert(4)>", r"\u202e", TEMPLATE[:14]):
        assert seen in text, seen
    assert r"'evil\x1b]52;c;ZXZpbA==\x07\u202e<img src=x onerror=alert(4)>;$(touch owned).env.bak'" in text


def test_a_terminal_gets_the_drill_s_own_sequences_only(hostile: Hostile) -> None:
    """With colours and lines that are written over, as on a real terminal; here Prometheus is hostile, too."""
    toml = hostile.desk.env_file.with_name("drill.toml")
    text = toml.read_text().replace(json.dumps(["default", TENANT]), '["default"]')
    toml.write_text(f'{text}[metrics]\nprometheus_url = "{hostile.service.url}"\n')
    output = on_a_terminal(hostile.desk.command("--dry-run", "--purge", "off"))
    assert "\x1b[" in output
    assert "preflight.service" in output
    assert "an error (no known kind)" in output
    assert obeyed(output, terminal=True) == []


def on_a_terminal(command: list[str]) -> str:
    """Run a command on a terminal of its own and return all that it sent there."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "DRILL_SLO__OBSERVE_S": "1"}
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        sent = bytearray()
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not block:
                break
            sent += block
        process.wait(timeout=60)
    os.close(ours)
    return sent.decode("utf-8", "replace")


@pytest.mark.parametrize("option", ["--reason", "--operator"])
@pytest.mark.parametrize(
    "text", [ANSI, LINKS, BELLS, TURNED, LONG[:100_000]], ids=["ansi", "links", "bells", "bidi", "long"]
)
def test_hostile_options_are_refused_and_not_echoed(option: str, text: str) -> None:
    """In this process: only what the options say matters."""
    from drill.errors import UsageError
    from drill.identity import operator_handle, reason_text

    with pytest.raises(UsageError) as caught:
        reason_text(text) if option == "--reason" else operator_handle(text, {})
    assert "evil" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_markup_in_the_reason_is_text_everywhere(tmp_path: Path) -> None:
    env_file = tmp_path / "service.env"
    env_file.write_bytes(ENV)
    (tmp_path / "drill.toml").write_text('[service]\nbase_url = "http://127.0.0.1:9"\n')
    desk = Desk(env_file, tmp_path / "artifacts", tmp_path / "reports")
    ran = desk.drill("--reason", "evil<script>alert(1)</script>\"'><img src=x>{{ 7*191 }}")
    ran.expect(1)
    examine(desk, ran)
    (report,) = (page for page in ran.reports if page.name != "index.html")
    assert "evil<script>alert(1)</script>" in acted_on(report)[1]
    shown = subprocess.run(
        [sys.executable, "-m", "drill", "journal", "show", "--path", str(desk.artifacts / "rollback_drill_log.ndjson")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert obeyed(shown.stdout + shown.stderr) == []


def test_the_journal_s_table_obeys_no_line_that_somebody_put_there(tmp_path: Path) -> None:
    path = tmp_path / "rollback_drill_log.ndjson"
    path.write_text(json.dumps({"drill_id": "x", "notes": LINKS + TURNED, "operator": ANSI, "env_file": MARKUP}) + "\n")
    shown = subprocess.run(
        [sys.executable, "-m", "drill", "journal", "show", "--path", str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "evil" in shown.stdout, shown
    assert obeyed(shown.stdout) == []


@pytest.mark.parametrize("text", NASTY[1:6], ids=["ansi", "links", "bells", "bidi", "nul"])
def test_a_text_that_is_left_as_it_is_would_be_seen(tmp_path: Path, text: str) -> None:
    """The search is able to fail."""
    page = tmp_path / "page.html"
    page.write_text(f"<p>{text}</p>", "utf-8")
    assert obeyed(acted_on(page)[1]) or "\r" in text
    assert obeyed(text, terminal=True)


def test_markup_that_is_left_as_it_is_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<p>{MARKUP}</p><a href='http://evil'>x</a>", "utf-8")
    acts, _ = acted_on(page)
    assert {"<img onerror>", "<svg/onload>", "<a href=http://evil>"} & set(acts)

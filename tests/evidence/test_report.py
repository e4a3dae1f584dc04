"""The report: readable without JavaScript, escaped, whole, and first what matters."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from drill.record import RUNBOOK_ORDER, DrillRecord, Evidence, RungRecord
from drill.report.material import Material, RawTest
from drill.report.render import render_page, title
from drill.report.rows import TITLES
from drill.report.text import scalar, seconds
from drill.verdict import Outcome, Result, Verdict
from tests.evidence.records import FLAGS_BEFORE, green, with_result

HEAD = "ab" * 32
ROOT = Path(__file__).parents[2]
HOSTILE = '</td><script>alert(1)</script><img src=x onerror="alert(2)">&amp;{{ 7*7 }}\u202e\ud800'


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "br", "img", "input"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def tags(text: str) -> _Tags:
    parser = _Tags()
    parser.feed(text)
    parser.close()
    return parser


def rendered(record: DrillRecord) -> str:
    return render_page(Material(record, FLAGS_BEFORE, HEAD))


@pytest.mark.parametrize("result", list(Result))
def test_every_result_gives_a_well_formed_page_that_says_it_in_words(result: Result) -> None:
    page = rendered(with_result(result))
    assert tags(page).open == []
    assert f'<span class="result">{result}</span>' in page
    assert f'class="drill-{result} apply"' in page


def test_every_row_stands_in_the_order_of_the_runbook_and_has_a_title_of_its_own() -> None:
    assert tuple(re.findall(r'<tr id="row-([\w.]+)"', rendered(green()))) == RUNBOOK_ORDER
    assert set(TITLES) == set(RUNBOOK_ORDER)


def test_dry_run_and_apply_cannot_be_mistaken() -> None:
    wet, dry = rendered(green()), rendered(green(apply=False))
    assert ("APPLY" in wet, "DRY-RUN" in wet, "For real" in wet) == (True, False, True)
    assert ("APPLY" in dry, "DRY-RUN" in dry, "nothing was changed" in dry) == (False, True, True)
    assert "Would become" in dry
    assert "Would become" not in wet


def test_the_banner_tells_who_why_when_and_how_long_until_safe() -> None:
    page = rendered(green())
    for text in (".env.staging", "alice", "INC-4711 pgvector latency, rollback", "1 min 14 s", "After 8.7 s", HEAD):
        assert text in page


def test_a_row_shows_value_operator_threshold_unit_samples_window_and_detail() -> None:
    row = rendered(green()).partition('id="row-slo.latency"')[2].partition("</tr>")[0]
    for text in ("212 ms", "&lt;= 500 ms", "3,120", "30.0 s", "p50_ms", "83.2"):
        assert text in row


def test_what_is_not_proven_is_listed_with_the_worst_first_and_not_called_proven() -> None:
    record = with_result(Result.FAILURE)
    record.entries["post.backend"].evidence = Evidence(Verdict.INCONCLUSIVE, "only one instance answered")
    listed = rendered(record).partition('id="not-proven"')[2].partition("</section>")[0]
    ids = re.findall(r"#row-([\w.]+)", listed)
    assert ids == ["slo.latency", "post.backend", "preflight.rehearsal", "reopen.shadow_read", "reopen.dual_write"]
    assert "Nothing is left open" not in listed
    everything = green()
    for name in ("preflight.rehearsal", "reopen.shadow_read", "reopen.dual_write"):
        everything.entries[name].evidence = Evidence(Verdict.PASS, "every rung held")
    assert "Nothing is left open" in rendered(everything)


def test_a_drill_that_re_opened_says_how_far_and_shows_each_rung() -> None:
    record = green()
    record.rungs = [RungRecord("shadow-read 10 %", {"A": "ON"}, Evidence(Verdict.PASS, "it held"), 61.0)]
    page = rendered(record)
    assert "Rolled back, proven, and re-opened up to shadow-read 10 %" in page
    shown = page.partition('id="rungs"')[2].partition("</section>")[0]
    for text in ("shadow-read 10 %", "A=ON", "it held", "1 min 01 s"):
        assert text in shown
    assert 'id="rungs"' not in rendered(green())


def test_rows_that_were_not_run_for_one_reason_stand_in_one_line_apart_from_what_is_required() -> None:
    record = with_result(Result.REFUSED)
    for name in ("smoke.search", "smoke.chat"):
        record.entries[name].evidence = Evidence(Verdict.NOT_RUN, "was not run")
    listed = rendered(record).partition('id="not-proven"')[2].partition("</section>")[0]
    lines = [re.findall(r"#row-([\w.]+)", line) for line in listed.split("<li>")[1:]]
    assert lines == [
        ["smoke.search", "smoke.chat"],
        ["preflight.rehearsal"],
        ["reopen.shadow_read", "reopen.dual_write"],
    ]


def test_an_absent_flag_and_an_unread_file_are_told_apart() -> None:
    page = rendered(green())
    assert "(absent)" in page
    nothing = green()
    nothing.changes = {}
    assert "not read far enough" in render_page(Material(nothing, {}, HEAD))


def test_hostile_texts_are_shown_as_text_everywhere() -> None:
    record = green()
    record.notes = record.operator = record.env_file = record.drill_id = record.refused = HOSTILE
    record.changes = {HOSTILE: HOSTILE}
    record.facts = {HOSTILE: HOSTILE}
    for row in record.entries.values():
        row.outcome = Outcome.APPLIED
        row.evidence = Evidence(
            Verdict.FAIL, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, 1.0, HOSTILE, {HOSTILE: HOSTILE, "b": "javascript:x"}
        )
    raw = (RawTest(HOSTILE, HOSTILE, HOSTILE, HOSTILE),)
    page = render_page(Material(record, {HOSTILE: HOSTILE}, HOSTILE, (HOSTILE,), tests=raw, generator=HOSTILE))
    assert set(tags(page).tags) == set(tags(rendered(green())).tags) | {"ol"}
    assert page.count("<script>") == 1
    assert not [name for name, _ in tags(page).attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page
    page.encode("utf-8")


def test_nothing_in_the_page_reaches_for_the_network() -> None:
    page = rendered(green())
    found = tags(page)
    assert not {"link", "img", "iframe"} & set(found.tags)
    links = [str(value) for name, value in found.attributes if name in {"src", "href"}]
    assert all(link.startswith("#") for link in links)
    assert "url(" not in page
    assert "@import" not in page


def test_a_link_inside_the_page_leads_somewhere() -> None:
    found = tags(rendered(green()))
    ids = {value for name, value in found.attributes if name == "id"}
    assert {str(value)[1:] for name, value in found.attributes if name == "href"} <= ids


def test_the_title_tells_files_apart() -> None:
    assert title(green(apply=False)) == "Rollback drill, dry-run: success, .env.staging"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 s"), (0.0002, "< 1 ms"), (0.34, "340 ms"), (12.34, "12.3 s"), (59.99, "1 min 00 s"), (245, "4 min 05 s")],
)
def test_durations_read_well(value: float, shown: str) -> None:
    assert seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "unknown"), (True, "yes"), (12345, "12,345"), (0.99861, "0.9986"), (123456.7, "123457")]
)
def test_numbers_read_well(value: float | None, shown: str) -> None:
    assert scalar(value) == shown


SESSION = """
import os
from pathlib import Path
import pytest
from fixtures.report import ReportWriter
from drill.plain_file import write_whole
from drill.report.material import Material
from tests.evidence.records import FLAGS_BEFORE, green
WRITER = ReportWriter()

def pytest_configure(config):
    config.pluginmanager.register(WRITER)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    result = yield
    import sys
    assert "SABOTAGE" in os.environ or not {"jinja2", "pytest_html", "pytest_metadata"} & set(sys.modules)
    if "SABOTAGE" in os.environ:
        import pytest_html.basereport
        pytest_html.basereport.BaseReport._generate_report = None
    material = Material(green(), FLAGS_BEFORE, "ab" * 32)
    page, problem = WRITER.write(session, lambda: material)
    write_whole(Path("reports/d1.html"), page.encode())
    print("problem:", problem)
    return result
"""
TESTS = """
import pytest
CANARY = "canary-" + "hunter2"

def test_passes():
    print("printed " + CANARY)

@pytest.mark.parametrize("evil", ["<script>alert(1)</script>"])
def test_fails(evil):
    password = CANARY
    assert password == evil, password

def test_verdict():
    pytest.fail("fail, 612.4ms <= 500ms: P95 is above the objective", pytrace=False)

def test_skipped():
    pytest.skip("not_run: no alerting here")

@pytest.fixture
def broken():
    raise KeyError(CANARY)

def test_setup_error(broken):
    pass
"""


def run_session(folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    (folder / "plugin_of_the_test.py").write_text(SESSION)
    (folder / "test_it.py").write_text(TESTS)
    command = [
        *(sys.executable, "-W", "error", "-m", "pytest", "test_it.py", "-c", "/dev/null", f"--rootdir={folder}"),
        *("-p", "no:cacheprovider", "--disable-plugin-autoload", "-p", "plugin_of_the_test", "-W", "error", "-s"),
    ]
    paths = f"{ROOT}:{folder}"
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "JENKINS_URL": "x", **environ}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    run = run_session(folder)
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    assert "problem: \n" in run.stdout, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def session_report(session_folder: Path) -> str:
    return (session_folder / "reports" / "d1.html").read_text("utf-8")


def raw(page: str) -> str:
    return page.partition('<table class="raw">')[2].partition("</table>")[0]


def test_pytest_html_gets_every_report_though_it_is_loaded_at_the_end(session_report: str) -> None:
    assert re.findall(r"<tr><td>(\w+)</td>", raw(session_report)) == ["Passed", "Failed", "Failed", "Skipped", "Error"]
    assert "<title>Rollback drill, apply: success, .env.staging</title>" in session_report
    assert "written by pytest-html 4" in session_report


def test_the_verdict_table_stands_before_pytests_own(session_report: str) -> None:
    assert 0 < session_report.index('id="row-preflight.env_file"') < session_report.index('<table class="raw">')


def test_nothing_of_the_environment_is_in_the_report(session_report: str) -> None:
    assert "JENKINS_URL" not in session_report


def test_no_value_of_a_variable_and_no_captured_output_is_in_the_report(session_report: str) -> None:
    assert "hunter2" not in session_report
    logs = raw(session_report)
    assert "test_it.py:11: AssertionError" in logs
    assert "test_it.py:21: KeyError" in logs
    assert "612.4ms &lt;= 500ms: P95 is above the objective" in logs


def test_no_path_of_the_machine_is_in_the_report(session_report: str, session_folder: Path) -> None:
    assert str(session_folder) not in session_report
    assert str(ROOT) not in session_report


def test_the_id_of_a_test_is_escaped_once(session_report: str) -> None:
    assert "test_fails[&lt;script&gt;alert(1)&lt;/script&gt;]" in raw(session_report)


def test_the_report_is_published_whole_and_leaves_no_draft(session_folder: Path) -> None:
    assert [path.name for path in (session_folder / "reports").iterdir()] == ["d1.html"]


def test_a_failure_of_pytest_html_does_not_cost_the_evidence(tmp_path: Path) -> None:
    run = run_session(tmp_path, SABOTAGE="1")
    assert "problem: pytest-html could not write the report (TypeError)" in run.stdout, run.stdout + run.stderr
    page = (tmp_path / "reports" / "d1.html").read_text("utf-8")
    assert 'id="row-slo.latency"' in page

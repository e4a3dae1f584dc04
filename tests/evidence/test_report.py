"""The report: readable without JavaScript, escaped, whole, and first what matters."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from drill.record import RUNBOOK_ORDER, DrillRecord, Evidence
from drill.report.render import render_page, render_summary, title
from drill.report.view import TITLES, scalar, seconds
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
        if tag not in {"meta", "br", "img", "input", "link", "source"}:
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
    return render_page(record, FLAGS_BEFORE, HEAD)


@pytest.mark.parametrize("result", list(Result))
def test_every_result_gives_a_well_formed_page_that_says_it_in_words(result: Result) -> None:
    page = rendered(with_result(result))
    assert tags(page).open == []
    assert f'<span class="result">{result}</span>' in page
    assert "drill-" + result in page


def test_every_row_stands_in_the_order_of_the_runbook_and_has_a_title_of_its_own() -> None:
    assert tuple(re.findall(r'<tr id="row-([\w.]+)"', rendered(green()))) == RUNBOOK_ORDER
    assert set(TITLES) == set(RUNBOOK_ORDER)


def test_dry_run_and_apply_cannot_be_mistaken() -> None:
    wet, dry = rendered(green()), rendered(green(apply=False))
    assert ("APPLY" in wet, "DRY-RUN" in wet, "for real" in wet) == (True, False, True)
    assert ("APPLY" in dry, "DRY-RUN" in dry, "never written" in dry) == (False, True, True)
    assert "Would become" in dry
    assert "Would become" not in wet


def test_the_banner_tells_who_why_when_and_how_long_until_safe() -> None:
    page = rendered(green())
    for text in (".env.staging", "alice", "INC-4711 pgvector latency, rollback", "1 min 14 s", "8.7 s", HEAD):
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
    assert ids == ["slo.latency", "post.backend", "reopen.shadow_read", "reopen.dual_write"]
    assert "Nothing is left open" not in listed
    everything = green()
    for name in ("reopen.shadow_read", "reopen.dual_write"):
        everything.entries[name].evidence = Evidence(Verdict.PASS, "every rung held")
    assert "Nothing is left open" in rendered(everything)


def test_an_absent_flag_and_an_unread_file_are_told_apart() -> None:
    page = rendered(green())
    assert "(absent)" in page
    nothing = green()
    nothing.changes = {}
    assert "not read far enough" in render_page(nothing, {}, HEAD)


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
    page = render_page(record, {HOSTILE: HOSTILE}, HOSTILE, (HOSTILE,))
    assert set(tags(page).tags) == set(tags(rendered(green())).tags) | {"ol", "li"}
    assert not [name for name, _ in tags(page).attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page
    page.encode("utf-8")


def test_nothing_in_the_page_reaches_for_the_network() -> None:
    found = tags(rendered(green()))
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    links = [value for name, value in found.attributes if name in {"src", "href"}]
    assert all(str(link).startswith("#row-") for link in links)
    assert "url(" not in rendered(green())
    assert "@import" not in rendered(green())


def test_the_title_tells_files_apart() -> None:
    assert title(green(apply=False)) == "Rollback drill, dry-run: success, .env.staging"
    assert render_summary(green(), FLAGS_BEFORE, HEAD).startswith("<style>")


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
from fixtures.stash import RECORD
from tests.evidence.records import FLAGS_BEFORE, green
WRITER = ReportWriter()

def pytest_configure(config):
    config.stash[RECORD] = green()
    config.pluginmanager.register(WRITER)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    result = yield
    import sys
    assert "SABOTAGE" in os.environ or not {"jinja2", "pytest_html", "pytest_metadata"} & set(sys.modules)
    if "SABOTAGE" in os.environ:
        import pytest_html.basereport
        pytest_html.basereport.BaseReport._generate_report = None
    print("problem:", WRITER.write(session, Path("reports/d1.html"), FLAGS_BEFORE, "ab" * 32))
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


def blob(page: str) -> dict[str, object]:
    values = dict(tags(page).attributes)
    data: dict[str, object] = json.loads(values["data-jsonblob"] or "")
    return data


def test_pytest_html_gets_every_report_though_it_is_loaded_at_the_end(session_report: str) -> None:
    data = blob(session_report)
    assert isinstance(data["tests"], dict)
    assert len(data["tests"]) == 5
    assert data["title"] == "Rollback drill, apply: success, .env.staging"
    assert tags(session_report).attributes[0] == ("lang", "en")


def test_the_verdict_table_stands_before_pytests_own(session_report: str) -> None:
    assert 0 < session_report.index('id="row-preflight.env_file"') < session_report.index('id="results-table"')


def test_the_environment_table_is_empty(session_report: str) -> None:
    assert blob(session_report)["environment"] == {}
    assert "JENKINS_URL" not in session_report


def test_no_value_of_a_variable_and_no_captured_output_is_in_the_report(session_report: str) -> None:
    assert "hunter2" not in session_report
    logs = json.dumps(blob(session_report))
    assert "test_it.py:11: AssertionError" in logs
    assert "test_it.py:21: KeyError" in logs
    assert "P95 is above the objective" in logs


def test_no_path_of_the_machine_is_in_the_report(session_report: str, session_folder: Path) -> None:
    assert str(session_folder) not in session_report
    assert str(ROOT) not in session_report


def test_the_id_of_a_test_is_escaped(session_report: str) -> None:
    assert "<script>alert(1)" not in json.dumps(blob(session_report)).replace("\\u003c", "<").replace(
        '"test_it.py::test_fails[<script>alert(1)</script>]": [', ""
    )


def test_the_report_is_published_whole_and_leaves_no_draft(session_folder: Path) -> None:
    assert [path.name for path in (session_folder / "reports").iterdir()] == ["d1.html"]


def test_a_failure_of_pytest_html_does_not_cost_the_evidence(tmp_path: Path) -> None:
    run = run_session(tmp_path, SABOTAGE="1")
    assert "problem: pytest-html could not write the report (TypeError)" in run.stdout, run.stdout + run.stderr
    page = (tmp_path / "reports" / "d1.html").read_text("utf-8")
    assert 'id="row-slo.latency"' in page


CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def browse(page: Path, profile: Path, *flags: str) -> str:
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def copy_of(report: str, page: Path, *, scripts: bool) -> Path:
    """Write ``report`` to ``page``; scripts are forbidden by policy: the browser's switch stops headless mode."""
    forbid = "" if scripts else '<meta http-equiv="Content-Security-Policy" content="script-src \'none\'">'
    page.write_text(report.replace("<head>", "<head>" + forbid, 1), "utf-8")
    return page


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
@pytest.mark.parametrize("scripts", [False, True])
def test_a_browser_shows_every_row_in_order_with_and_without_javascript(
    session_report: str, tmp_path: Path, scripts: bool
) -> None:
    page = copy_of(session_report, tmp_path / "d1.html", scripts=scripts)
    dom = browse(page, tmp_path / "profile", "--dump-dom")
    assert tuple(re.findall(r'<tr id="row-([\w.]+)"', dom)) == RUNBOOK_ORDER
    assert ("results-table-row" in dom.rpartition("</template>")[2].partition("<script")[0]) is scripts


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_the_first_screen_loses_nothing_without_javascript(session_report: str, tmp_path: Path) -> None:
    pictures = []
    for scripts in (True, False):
        page = copy_of(session_report, tmp_path / "d1.html", scripts=scripts)
        picture = tmp_path / f"{scripts}.png"
        browse(page, tmp_path / "profile", "--window-size=1280,1600", f"--screenshot={picture}")
        pictures.append(picture.stat().st_size)
    assert pictures[0] > 50_000  # an empty page compresses to a tenth of that
    assert pictures[1] == pytest.approx(pictures[0], rel=0.02)  # two runs differ in a few pixels of anti-aliasing

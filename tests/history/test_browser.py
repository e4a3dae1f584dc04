"""The page in a browser: filters, ages that go on, no network, all there without JavaScript."""

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drill.history.write import build
from drill.verdict import Result
from tests.history.journals import NOW, Ago, write_journal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
DRILLS = (
    Ago(100, ".env.old"),
    Ago(9, apply=False),
    Ago(5, result=Result.FAILURE, notes="<img src=x onerror=document.title='hit'>"),
    *(Ago(4), Ago(3, ".env.eu", result=Result.FAILURE), Ago(2, ".env.eu")),
)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make test installs it")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    (folder / "d-4.html").write_text("<title>the report</title>")
    page, _ = build(write_journal(folder / "j", *DRILLS), folder, 90, NOW)
    return page


Open = Callable[..., "Page"]


@pytest.fixture
def opened(browser: "Browser", file: Path) -> Iterator[Open]:
    """Return how to open the page at a time (days after it was built); complaints and requests fail the test."""
    contexts = []
    asked: list[str] = []
    complaints: list[str] = []

    def at(days: float = 0, **options: Any) -> "Page":
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.clock.set_fixed_time(NOW + timedelta(days=days))
        page.goto(file.as_uri())
        return page

    yield at
    for context in contexts:
        context.close()
    assert not complaints
    assert all(url.startswith("file://") for url in asked)


def shown(page: "Page") -> list[str]:
    return [row.split("\t")[1] for row in page.locator("#drills tr:visible").all_inner_texts()]


def test_the_filters_show_the_drills_of_an_env_file_a_result_and_a_mode(opened: Open) -> None:
    page = opened()
    assert len(shown(page)) == len(DRILLS)
    assert page.locator("output").inner_text() == "6 of 6 shown"
    page.get_by_role("combobox", name="Env file").select_option(".env.eu")
    assert shown(page) == ["success", "failure"]
    page.get_by_role("combobox", name="Result").select_option("failure")
    assert shown(page) == ["failure"]
    assert page.locator("output").inner_text() == "1 of 6 shown"
    page.get_by_role("combobox", name="Env file").select_option("all")
    page.get_by_role("combobox", name="Result").select_option("all")
    page.get_by_role("combobox", name="Mode").select_option("dry-run")
    assert shown(page) == ["success"]


def test_ages_and_warnings_are_those_of_the_day_on_which_the_page_is_looked_at(opened: Open) -> None:
    page = opened()
    assert "1 of 3 env files" in page.locator("#standing").inner_text()
    row = page.locator("#ages tr", has_text=".env.eu")
    assert "2 days ago" in row.inner_text()
    assert "recent enough" in row.inner_text()
    later = opened(days=89)
    assert later.locator("#standing").inner_text().startswith("3 of 3 env files")
    assert later.locator("#standing").inner_text().endswith(".env.eu, .env.staging, .env.old")
    row = later.locator("#ages tr", has_text=".env.eu")
    assert "91 days ago" in row.inner_text()
    assert "too long ago" in row.inner_text()


def test_without_javascript_all_drills_warnings_and_plots_are_there_and_no_dead_filter(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("#drills tr:visible").count() == len(DRILLS)
    assert page.locator("#filter:visible").count() == 0
    assert page.locator("svg:visible").count() >= 1
    standing = page.locator("#standing").inner_text()
    assert standing == "1 of 3 env files without a successful drill in the last 90 days: .env.old"


def test_hostile_notes_are_text_and_a_report_is_one_click_away(opened: Open) -> None:
    page = opened()
    assert page.get_by_text("<img src=x onerror").is_visible()
    assert page.title().startswith("Rollback drills")
    page.locator("#drills a").click()
    assert page.title() == "the report"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_never_scrolls_sideways_as_a_whole(opened: Open, scheme: str) -> None:
    page = opened(color_scheme=scheme, viewport={"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_print_has_every_section_and_no_filter(opened: Open) -> None:
    page = opened()
    page.emulate_media(media="print")
    assert page.locator("#filter:visible").count() == 0
    assert page.locator("h2:visible").count() == 3
    assert page.pdf().startswith(b"%PDF")

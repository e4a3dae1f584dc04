"""The report in a browser: what it says without a script, what its script adds, on paper, and with what barriers."""

import re
from typing import TYPE_CHECKING

import pytest

from drill.record import RUNBOOK_ORDER, Evidence
from drill.report.material import Material, RawTest
from drill.report.render import render_page
from drill.verdict import Result, Verdict
from tests.browser.axe import barriers
from tests.browser.conftest import Open
from tests.browser.pages import HEAD, KINDS, report
from tests.evidence.records import green, with_result
from tests.evidence.timelines import named

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOCUSED = """one => one === document.body ? "" : (
    one.labels?.[0]?.textContent ?? one.ariaLabel ?? one.textContent).trim() || one.tagName"""
HOSTILE = "</td></title><script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)>{{ 7*7 }}\u202e"


def ids(page: "Page") -> list[str]:
    rows = page.locator("table.rows tr.row:visible")
    return [str(one).removeprefix("row-") for one in rows.evaluate_all("rows => rows.map(row => row.id)")]


@pytest.mark.parametrize("kind", KINDS)
def test_without_javascript_the_verdict_and_every_row_are_visible_and_no_dead_control(opened: Open, kind: str) -> None:
    page = opened(report(kind), java_script_enabled=False)
    words = page.locator("h1").inner_text().lower()
    assert words.startswith("success" if kind == "dry-run" else kind)
    assert page.locator(".answers dt").all_inner_texts()[0] == "Are we safe?"
    assert ids(page) == list(RUNBOOK_ORDER)
    assert page.locator("#row-tools, th button").locator("visible=true").count() == 0


def test_what_matters_is_on_the_first_screen(opened: Open) -> None:
    for kind in KINDS:
        page = opened(report(kind), viewport={"width": 1280, "height": 720})
        for part in (".mode", "h1", ".story", ".answers", ".facts"):
            box = page.locator(part).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 720, (kind, part)


def test_the_ribbon_of_a_rehearsal_stays_in_sight(opened: Open) -> None:
    page = opened(report("dry-run"))
    page.locator("#findings").scroll_into_view_if_needed()
    box = page.locator(".rehearsal").bounding_box()
    assert box is not None
    assert box["y"] == 0
    assert "DRY-RUN a rehearsal: nothing was changed" in page.locator(".rehearsal").inner_text()
    assert opened(report("success")).locator(".rehearsal").count() == 0


def test_the_filter_shows_the_rows_of_one_verdict_and_says_how_many(opened: Open) -> None:
    page = opened(report("failure"))
    assert (
        page.locator("#row-status").inner_text()
        == f"{len(RUNBOOK_ORDER)} of {len(RUNBOOK_ORDER)} rows, in runbook order"
    )
    page.get_by_label("fail (2)").check()
    assert ids(page) == ["slo.latency", "slo.alerts"]
    assert page.locator("#row-status").inner_text().startswith("2 of ")
    page.get_by_label("all (").check()
    assert ids(page) == list(RUNBOOK_ORDER)


def test_sorting_goes_down_up_and_back_to_the_runbook_with_unmeasured_rows_last(opened: Open) -> None:
    page = opened(report("failure"))
    button = page.get_by_role("button", name="Measured")
    head = page.locator("th[data-sort=value]")
    seen = []
    for _ in range(3):
        button.click()
        seen.append((head.get_attribute("aria-sort"), ids(page)))
    assert [order for order, _ in seen] == ["descending", "ascending", "none"]
    assert seen[0][1][:2] == ["slo.latency", "slo.alerts"]
    assert seen[1][1][:2] == ["slo.alerts", "slo.latency"]
    assert seen[2][1] == list(RUNBOOK_ORDER)
    page.get_by_role("button", name="Verdict").click()
    assert set(ids(page)[:2]) == {"slo.latency", "slo.alerts"}
    assert "sorted by Verdict" in page.locator("#row-status").inner_text()


def test_a_link_to_a_row_that_is_filtered_away_shows_it(opened: Open) -> None:
    page = opened(report("failure"))
    page.get_by_label("pass (").check()
    assert "slo.latency" not in ids(page)
    page.locator('.unproven a[href="#row-slo.latency"]').click()
    assert "slo.latency" in ids(page)


def test_hostile_texts_are_text_in_every_place(opened: Open) -> None:
    record = green()
    record.notes = record.operator = record.env_file = record.drill_id = HOSTILE
    record.changes = record.facts = {HOSTILE: HOSTILE}  # type: ignore[assignment]
    for row in record.entries.values():
        row.evidence = Evidence(
            Verdict.FAIL, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1, 1.0, HOSTILE, {HOSTILE: HOSTILE, "query": HOSTILE}
        )
    raw = (RawTest(HOSTILE, HOSTILE, HOSTILE, HOSTILE),)
    seen = named("http://" + HOSTILE, "http://b")
    page = opened(render_page(Material(record, {HOSTILE: HOSTILE}, HOSTILE, (HOSTILE,), seen, raw, HOSTILE)))
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert page.title().startswith("Rollback drill, apply: failure")
    assert page.locator("dd", has_text="{{ 7*7 }}").count() > 5


def test_the_policy_of_the_page_forbids_any_other_script_and_every_request(opened: Open) -> None:
    page = opened(report("success"), silent=False)
    refused = page.evaluate(
        """() => new Promise(done => {
            const seen = [];
            document.addEventListener("securitypolicyviolation", event => {
                seen.push(event.effectiveDirective);
                if (seen.length === 2) done(seen.sort());
            });
            const script = document.createElement("script");
            script.textContent = "document.title = 'hit'";
            const image = document.createElement("img");
            image.src = "http://127.0.0.1:9/x.png";
            document.body.append(script, image);
        })"""
    )
    assert refused == ["img-src", "script-src-elem"]
    assert page.title() != "hit"


@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_no_barrier_in_the_whole_page_light_and_dark(opened: Open, kind: str) -> None:
    page = opened(report(kind), color_scheme="light")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert barriers(page) == []
    page.emulate_media(color_scheme="dark")
    assert barriers(page, "color-contrast") == []


def test_axe_does_find_a_barrier_where_there_is_one(opened: Open) -> None:
    page = opened(report("success"))
    page.evaluate("document.querySelector('.facts dd').style.color = 'green'")
    page.evaluate("document.querySelector('main').outerHTML = '<div><input></div>'")
    found = " ".join(barriers(page))
    for rule in ("color-contrast", "label", "landmark-one-main"):
        assert rule in found


def test_headings_are_in_order_and_are_read_in_the_order_in_which_they_are_seen(opened: Open) -> None:
    page = opened(report("success"))
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(one => one.tagName)")
    assert levels == ["H1"] + ["H2"] * (len(levels) - 1)
    places = page.evaluate(
        "[...document.querySelectorAll('h1,h2,table,figure')].map(one => one.getBoundingClientRect().y)"
    )
    assert places == sorted(places)


def test_everything_can_be_reached_and_used_by_keyboard(opened: Open) -> None:
    page = opened(report("failure"))
    texts: list[str] = []
    while not texts or texts[-1]:
        page.keyboard.press("Tab")
        texts.append(page.evaluate(f"({FOCUSED})(document.activeElement)"))
        assert len(texts) < 200
    assert texts[0] == "Skip to steps and checks"
    stops = (
        "Timeline",
        "SLO: latency P50 and P95",
        f"all ({len(RUNBOOK_ORDER)})",
        "Verdict",
        "Took",
        "Finding 1",
        "21 tests",
    )
    order = [texts.index(text) for text in stops]
    assert order == sorted(order)
    page.get_by_text("21 tests").focus()
    page.keyboard.press("Enter")
    assert page.locator("table.raw").is_visible()
    page.get_by_label("all (").focus()
    page.keyboard.press("ArrowDown")
    assert set(ids(page)) < set(RUNBOOK_ORDER)


def test_on_paper_every_section_and_every_fact_is_there(opened: Open) -> None:
    page = opened(report("failure"), java_script_enabled=False)
    headings = page.locator("h2:not(.hidden)").all_inner_texts()
    page.emulate_media(media="print")
    for what in ("section", "details dl", "table.raw", "svg.plot", "table.findings tr"):
        assert all(one.is_visible() for one in page.locator(what).all()), what
    paper = page.pdf(outline=True, tagged=True)
    titles = outline(paper)
    assert [title for title in titles if title in headings] == headings


def test_a_filter_does_not_keep_rows_from_the_paper(opened: Open) -> None:
    page = opened(report("failure"))
    page.get_by_label("fail (2)").check()
    page.emulate_media(media="print")
    assert len(ids(page)) == len(RUNBOOK_ORDER)


def outline(paper: bytes) -> list[str]:
    """Return the titles of a PDF's outline, which Chromium makes of the headings, in the order of the pages."""
    found = re.findall(rb"/Title ?(?:\(((?:[^()\\]|\\.)*)\)|<([0-9A-Fa-f]+)>)", paper)
    return [
        plain.decode("latin-1") if plain else bytes.fromhex(coded.decode()).decode("utf-16") for plain, coded in found
    ]


@pytest.mark.parametrize("width", [390, 820])
def test_a_narrow_screen_scrolls_down_only(opened: Open, width: int) -> None:
    page = opened(report("failure"), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_plots_follow_the_colours_of_the_page(opened: Open) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        page = opened(report("success"), color_scheme=scheme)
        colours.add(page.locator("svg.plot text").first.evaluate("one => getComputedStyle(one).fill"))
        assert page.locator("svg.plot").count() == 3
        assert page.locator("svg.plot").first.get_attribute("role") == "img"
    assert len(colours) == 2


def test_a_refused_drill_says_why_in_the_first_lines(opened: Open) -> None:
    page = opened(render_page(Material(with_result(Result.REFUSED), {}, HEAD)))
    assert page.locator("h1").inner_text() == "REFUSED · Nothing was changed"
    assert "another drill holds the lock" in page.locator(".story").inner_text()

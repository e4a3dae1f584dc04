"""The page of all drills: what it says, that it says it safely, and that it stays small."""

import re
import time
from datetime import timedelta
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from drill.history import page as page_module
from drill.history.page import age_in_words, render_history
from drill.history.past import read_history
from drill.history.plots import trend
from drill.history.write import HISTORY_FILE, build
from drill.verdict import Result
from tests.history.journals import NOW, Ago, many, write_entries, write_journal

HOSTILE = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}&amp;\u202e\ud800"


def rendered(journal: Path, *reports: str, max_age_days: float = 90) -> str:
    return render_history(read_history(journal), reports, max_age_days, NOW)


def rows(text: str) -> list[str]:
    return re.findall(r"<tr class=\"\w+ [ad] e\d+\">.*", text)


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


class _Outline(HTMLParser):
    """Elements that must be closed, in order, and all ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in {"meta", "tr", "td", "th", "option", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"tr", "td", "th", "option"}:
            assert self.open.pop() == tag


def outline(text: str) -> _Outline:
    parser = _Outline()
    parser.feed(text)
    parser.close()
    return parser


def test_every_drill_has_a_row_with_what_it_came_to(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", Ago(2, apply=False), Ago(1, result=Result.FAILURE, safety_s=None))
    newer, older = map(plain, rows(rendered(journal)))
    assert "2026-02-28 12:00:00" in newer
    for text in ("failure", "apply", ".env.staging", "alice", "1 min 14 s", "0 s", "212 ms", "INC-4711"):
        assert text in newer
    for text in ("success", "dry-run"):
        assert text in older
    assert "8.7 s" not in newer + older


@pytest.mark.parametrize("result", list(Result))
def test_each_result_stands_in_words_and_has_a_class_to_filter_by(tmp_path: Path, result: Result) -> None:
    text = rendered(write_journal(tmp_path / "j", Ago(1, result=result)))
    (row,) = rows(text)
    key = row.split('"')[1].split()[0]
    assert f"<b>{result}</b>" in row
    assert f'<option value="{key}">{result}' in text


def test_a_row_links_to_its_report_exactly_if_the_file_is_there(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", Ago(2), Ago(1))
    newer, older = rows(rendered(journal, "d-1.html", "other.html"))
    assert '<a href="d-1.html">' in newer
    assert "<a" not in older


def test_a_report_is_only_ever_looked_for_beside_the_page(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "d-1.html").touch()
    (tmp_path / "d-2.html").touch()
    journal = write_journal(tmp_path / "j", Ago(2), Ago(1))
    journal.write_text(journal.read_text().replace("reports/d-2.html", "../d-2.html"))
    page, _ = build(journal, reports, 90, NOW)
    assert re.findall(r'<a href="([^"]+)"', page.read_text()) == ["d-1.html"]


def test_the_overdue_are_named_and_the_recent_are_not(tmp_path: Path) -> None:
    journal = write_journal(
        tmp_path / "j",
        Ago(100, "old"),
        Ago(3, "good"),
        Ago(3, "bad", result=Result.FAILURE),
        Ago(3, "dry", apply=False),
    )
    text = rendered(journal)
    assert "2 of 4 env files without a successful drill in the last 90 days: bad, old" in plain(text)
    table = plain(text.split('<tbody id="ages">')[1].split("</tbody>")[0])
    assert "old 1 never 100 days ago too long ago" in table
    assert "good 1 never 3 days ago recent enough" in table
    assert "bad 1 never never too long ago" in table
    assert "dry 1 3 days ago never recent enough" in table
    assert "Every env file has had a successful drill in the last 101 days." in plain(
        rendered(write_journal(tmp_path / "k", Ago(100)), max_age_days=101)
    )


@pytest.mark.parametrize(
    ("days", "words"),
    [(-2, "today"), (0.99, "today"), (1, "1 day ago"), (90.5, "90 days ago"), (float("inf"), "never")],
)
def test_ages_in_words(days: float, words: str) -> None:
    assert age_in_words(days) == words


def test_torn_lines_and_a_broken_chain_are_said_at_the_top(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", Ago(3), Ago(2), Ago(1))
    whole = plain(rendered(journal))
    assert "The chain of its lines holds." in whole
    assert "No line is torn." in whole
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0], lines[1].replace("alice", "mallory"), '{"torn', lines[2]]) + "\n")
    broken = plain(rendered(journal))
    assert "The chain of its lines is broken at 1 line (4)." in broken
    assert "1 line could not be read" in broken


def test_hostile_texts_of_the_journal_are_texts(tmp_path: Path) -> None:
    one = {"timestamp": "2026-01-01T00:00:00Z", "drill_id": HOSTILE, "apply": True}
    hostile = dict.fromkeys(("env_file", "operator", "result", "notes", "report"), HOSTILE)
    checks = [{"id": "slo.latency", "value": 1.5, "threshold": 500}]
    entries = [{**one, **hostile, "time_to_safety_s": 3, "checks": checks}] * 3
    text = rendered(write_entries(tmp_path / "j", entries), HOSTILE)
    seen = outline(text)
    assert seen.open == []
    assert not seen.handlers
    assert seen.seen.count("script") == 1
    assert "img" not in seen.seen
    assert "{{7*7}}" in text
    assert "<svg" in text


def test_the_page_is_well_formed_with_landmarks_one_heading_and_no_id_twice(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", *(Ago(days, env) for days in (1, 2, 3) for env in "ab"))
    seen = outline(rendered(journal))
    assert seen.open == []
    assert [tag for tag in seen.seen if tag in {"header", "main", "footer", "h1"}] == ["header", "h1", "main", "footer"]
    assert len(seen.ids) == len(set(seen.ids))
    assert seen.seen.count("svg") == 2


def test_the_page_refers_to_nothing_outside(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", Ago(2), Ago(1))
    text = rendered(journal)
    assert not re.findall(r"""(?:src|href|action)=["']?(?!#)[^\s>]*//""", text)
    assert not re.findall(r"url\((?!#)|@import", text)


def test_a_plot_says_in_words_what_it_shows_and_has_text_as_text(tmp_path: Path) -> None:
    journal = write_journal(
        tmp_path / "j",
        Ago(3, safety_s=5.0),
        Ago(2, safety_s=9.0, result=Result.FAILURE),
        Ago(1, safety_s=6.0, p95_ms=None),
    )
    svg = trend("a<b", read_history(journal).drills, 0)
    root = ET.fromstring(svg.replace("xlink:", ""))
    assert root.attrib["role"] == "img"
    title, words = (node.text or "" for node in list(root)[:2])
    assert title == "a<b: time to safety and P95 over time"
    assert "Time to safety of 3 drills, 2026-02-26 to 2026-02-28: last 6.0 s, median 6.0 s, highest 9.0 s." in words
    assert "P95 of the probes of 2 drills" in words
    texts = {node.text for node in root.iter("text")}
    assert {"Time to safety (s)", "P95 of the probes (ms)", "success", "other", "objective"} <= texts
    assert "var(--ink)" in svg
    assert not re.search(r"#0[1-5]{1}0", svg)


def test_a_half_without_measurements_says_so_and_both_halves_show_the_same_time(tmp_path: Path) -> None:
    drills = read_history(write_journal(tmp_path / "j", *(Ago(days, safety_s=None) for days in (9, 5, 1)))).drills
    svg = trend("e", drills, 0)
    assert "not measured</text>" in svg
    assert "Time to safety: not measured." in svg


def test_fewer_than_two_measured_drills_are_no_trend(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", Ago(3, apply=False), Ago(2, apply=False), Ago(1))
    assert trend("e", read_history(journal).drills, 0) == ""
    assert "No env file has two measured drills yet." in rendered(journal)


def test_the_same_journal_gives_the_same_page(tmp_path: Path) -> None:
    journal = write_journal(tmp_path / "j", Ago(3), Ago(2), Ago(1))
    assert rendered(journal) == rendered(journal)


def test_more_env_files_than_can_be_listed_are_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "MAX_ENVS", 2)
    text = plain(rendered(write_journal(tmp_path / "j", *(Ago(days, f"env-{days}") for days in (1, 2, 3, 4)))))
    assert "2 more env files, drilled longer ago, are not listed." in text
    assert text.count("env-4") == 1


def test_an_empty_journal_gives_a_page_that_says_so(tmp_path: Path) -> None:
    assert "No drill yet." in plain(rendered(write_entries(tmp_path / "j", [])))


def test_ten_thousand_drills_are_a_small_page_in_little_time(tmp_path: Path) -> None:
    journal = write_entries(tmp_path / "j", many(10_000))
    began = time.monotonic()
    page, history = build(journal, tmp_path, 90, NOW + timedelta(days=1))
    assert time.monotonic() - began < 30, "two seconds on an idle machine"
    assert history.total == 10_000
    assert page.name == HISTORY_FILE
    assert page.stat().st_size < 3_000_000
    assert len(rows(page.read_text())) == 10_000


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * char for char in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_text_colour_has_a_contrast_of_four_and_a_half_on_every_ground_in_every_mode() -> None:
    css = files("drill.history").joinpath("history.css").read_text("utf-8")
    modes = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
    assert len(modes) == 3
    for mode in modes:
        inks = mode.keys() - {"bg", "card", "line", "code"}
        assert {"ink", "soft", "link", "success", "failure"} <= inks
        for ink in inks:
            for ground in ("bg", "card"):
                assert _contrast(mode[ink], mode[ground]) >= 4.5, (ink, ground, mode)

"""GitHub Actions is told in its own words, and no text of a drill can become a command or break a table."""

import re
from pathlib import Path

import pytest

from drill.notify.github import MAX_ANNOTATIONS, annotations, append_summary, step_summary
from drill.printable import printable
from drill.record import DrillRecord, Evidence
from drill.verdict import Result, Verdict
from tests.evidence.records import green, with_result

HOSTILE = "50%\r\n::set-env name=PATH::/evil\n| a | b |\n![x](http://tracker/x.png) <script>alert(1)</script> `c` \\"


def hostile() -> DrillRecord:
    record = with_result(Result.FAILURE)
    for row in record.entries.values():
        row.evidence = Evidence(Verdict.FAIL, HOSTILE)
    record.env_file = record.notes = HOSTILE
    return record


def unescaped(text: str) -> str:
    """Return what GitHub makes of a value."""
    for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, char)
    return text


@pytest.mark.parametrize(
    ("result", "kind", "title"),
    [
        (Result.SUCCESS, "notice", "Rollback drill: success"),
        (Result.FAILURE, "error", "slo.latency: fail"),
        (Result.INCONCLUSIVE, "warning", "slo.latency: inconclusive"),
        (Result.REFUSED, "error", "Rollback drill: refused"),
    ],
)
def test_each_result_has_its_annotation(result: Result, kind: str, title: str) -> None:
    record = with_result(result)
    (line,) = annotations(record, record.exit_code)
    match = re.fullmatch(r"::(\w+) title=([^,:]+)::(.+)", line)
    assert match is not None
    assert (match[1], unescaped(match[2])) == (kind, title)
    if result is Result.FAILURE:
        assert unescaped(match[3]) == record.entries["slo.latency"].evidence.line()


def test_a_text_stays_one_line_and_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drill.notify.github.MAX_ANNOTATIONS", 100)
    lines = annotations(hostile(), 1)
    assert lines
    for line in lines:
        assert line.isprintable()
        match = re.fullmatch(r"::error title=([^,:]+)::(.+)", line)
        assert match is not None
        assert unescaped(match[2]).endswith(printable(HOSTILE))


def test_the_worst_rows_come_first_and_no_more_than_github_shows() -> None:
    lines = annotations(hostile(), 1)
    assert len(lines) == MAX_ANNOTATIONS
    record = hostile()
    for row in list(record.entries.values())[:-4]:
        row.evidence = Evidence(Verdict.INCONCLUSIVE, "?")
    kinds = [line.split(" ")[0] for line in annotations(record, 1)]
    assert kinds == ["::error"] * 2 + ["::warning"] * MAX_ANNOTATIONS, "the last two rows are not required"


def test_the_summary_says_what_is_not_proven_and_why() -> None:
    record = with_result(Result.INCONCLUSIVE)
    text = step_summary(record, 10)
    assert text.startswith("## Rollback drill: inconclusive (apply)\n")
    assert "| inconclusive | SLO\\: latency P50 and P95 \\(slo\\.latency\\) | too few samples |" in text
    needed = sum(row.required for row in record.entries.values())
    assert f"{needed - 1} of {needed} required steps and checks passed." in text
    assert "| Exit code | 10 |" in text
    assert "| Refused |" in step_summary(with_result(Result.REFUSED), 11)


def test_a_hostile_text_neither_breaks_a_table_nor_loads_anything() -> None:
    for line in step_summary(hostile(), 1).splitlines():
        bars = len(re.findall(r"(?<!\\)\|", line))
        assert bars in {0, 3, 4}, line
        assert not re.search(r"(?<!\\)[<\[`!]", line), line
        assert not line.startswith("::")


def test_the_summary_is_appended_and_trouble_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("earlier step\n")
    assert append_summary(green(), 0, {"GITHUB_STEP_SUMMARY": str(path)}) == ""
    assert path.read_text().startswith("earlier step\n## Rollback drill: success (apply)")
    assert append_summary(green(), 0, {}) == ""
    problem = append_summary(green(), 0, {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert problem == "no step summary: GITHUB_STEP_SUMMARY could not be written (Is a directory)"

"""A secret of which not all prints is found in whatever each sink makes of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest
from _pytest.junitxml import bin_xml_escape
from pyarrow import parquet

from drill.events import EventLog
from drill.http import Reply
from drill.journal.entry import journal_entry
from drill.journal.log import dump
from drill.last_words import last_words
from drill.leaks import Search
from drill.leaks.of_drill import WITHHELD, withheld
from drill.notify.bodies import grafana_bodies, webhook_body
from drill.notify.github import annotations, step_summary
from drill.printable import printable
from drill.record import DrillRecord, Evidence
from drill.report.material import Material
from drill.report.render import render_page
from drill.secret import Secret
from drill.verdict import Verdict
from tests.evidence.records import FLAGS_BEFORE, green

NASTY = {
    "prints": "s3cr3t-c4n4ry",
    "no-break space": "s3cr3t\u00a0c4n4ry",
    "tab": "s3cr3t\tc4n4ry",
    "line feed": "s3cr3t\nc4n4ry",
    "carriage return and line feed": "s3cr3t\r\nc4n4ry",
    "zero width": "s3cr\u200b3t\ufeffc4n4ry",
    "bell and escape": "s3cr3t\x07c4\x1b[31mn4ry",
    "hyperlink of a terminal": "s3cr3t\x1b]8;;http://x\x07c4n4ry",
    "C1 and delete": "s3cr3t\x9bc4n\x7f4ry",
    "direction": "s3cr3t\u202ec4n4ry",
    "line separator": "s3cr3t\u2028c4n4ry",
    "lone surrogate": "s3cr3t\udc80c4n4ry",
    "beyond the basic plane": "s3cr3t\U000e0041c4n4ry",
    "with punctuation": "p<a>&\u00a0\"s+\tw/o\\rd'",
    "at both ends": "\ts3cr3t-c4n4ry\u00a0",
}


def record_with(secret: str) -> DrillRecord:
    record = green()
    record.notes = f"INC-4711 {secret}"
    record.entries["slo.latency"].evidence = Evidence(Verdict.FAIL, f"HTTP 200 (text/{secret}, 12 bytes)", "x")
    return record


def _events(secret: str, folder: Path) -> str:
    log = EventLog(folder)
    log.row(record_with(secret).entries["slo.latency"])
    log.close()
    return log.path.read_text()


def _junit(text: str) -> str:
    element = ET.Element("failure", message=bin_xml_escape(text))
    element.text = bin_xml_escape(text)
    return ET.tostring(element, encoding="unicode")


END = datetime(2025, 10, 21, 15, tzinfo=UTC)
SINKS: dict[str, Callable[[str, Path], str]] = {
    "nothing": lambda secret, _: f"before {secret} after",
    "terminal": lambda secret, _: printable(record_with(secret).entries["slo.latency"].evidence.line()),
    "report": lambda secret, _: render_page(Material(record_with(secret), FLAGS_BEFORE, "0" * 64, ())),
    "JUnit": lambda secret, _: _junit(record_with(secret).entries["slo.latency"].evidence.reason),
    "JUnit, of a crash": lambda secret, _: _junit(secret),
    "journal": lambda secret, _: dump(journal_entry(record_with(secret))),
    "events": _events,
    "webhook": lambda secret, _: json.dumps(webhook_body(record_with(secret), 1)),
    "Grafana": lambda secret, _: json.dumps(grafana_bodies(record_with(secret), 1, None, END)),
    "GitHub annotation": lambda secret, _: "\n".join(annotations(record_with(secret), 1)),
    "GitHub summary": lambda secret, _: step_summary(record_with(secret), 1),
    "a URL": lambda secret, _: "http://x/?q=" + quote(secret, safe="", errors="surrogateescape"),
    "JSON": lambda secret, _: json.dumps(secret),
    "a header read as Latin-1": lambda secret, _: printable(secret.encode("utf-8", "replace").decode("latin-1")),
    "ASCII only": lambda secret, _: secret.encode("ascii", "replace").decode(),
    "one line": lambda secret, _: " ".join(secret.split()),
    "lines stripped": lambda secret, _: "".join(line.strip() for line in secret.splitlines()),
}
KEEPS_NO_OTHER_LETTERS = {"ASCII only", "a header read as Latin-1"}


@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.parametrize("sink", SINKS)
def test_a_secret_is_found_in_what_each_sink_makes_of_it(tmp_path: Path, sink: str, kind: str) -> None:
    """And another secret of the same kind is not."""
    secret = NASTY[kind]
    search = Search({"TOKEN": Secret(secret), "OTHER": Secret(secret.replace("3", "7").replace("/", "-"))})
    assert search.in_text(SINKS[sink](secret, tmp_path)) == ["TOKEN"]


@pytest.mark.parametrize("kind", NASTY)
def test_a_command_that_says_a_secret_is_not_quoted_and_not_logged(tmp_path: Path, kind: str) -> None:
    """Neither its last words nor its log hold it; what else it said is in both."""
    search = Search({"TOKEN": Secret(NASTY[kind])})
    log = tmp_path / "commands.log"
    said = f"starting\nfailed with {NASTY[kind]} in hand\n".encode("utf-8", "replace")
    for text in (last_words(said, search, log), log.read_text()):
        if "\udc80" not in NASTY[kind]:
            assert "TOKEN" in text
        assert search.in_text(text) == []
    log.unlink()
    assert "starting" in last_words(b"starting\nfailed\n", search, log)
    assert "failed" in log.read_text()


@pytest.mark.parametrize("kind", NASTY)
def test_a_secret_is_found_in_a_compressed_column(tmp_path: Path, kind: str) -> None:
    """As it is, and as JSON holds it."""
    secret = NASTY[kind]
    search = Search({"TOKEN": Secret(secret)})
    for number, text in enumerate([json.dumps({"text": secret}), printable(secret)]):
        path = tmp_path / f"part-{number}.parquet"
        parquet.write_table(pa.table({"payload": ["other", text]}), path, compression="zstd")
        assert [leak.name for leak in search.in_files([path])] == ["TOKEN"], text


@pytest.mark.parametrize("kind", NASTY)
def test_a_content_type_that_sends_a_secret_back_is_withheld_or_not_quoted(kind: str) -> None:
    """What is a media type is searched; what is none is not quoted, nor a part of it."""
    search = Search({"TOKEN": Secret(NASTY[kind])})
    seen = Evidence(Verdict.PASS, Reply(200, f"text/{NASTY[kind]}", b"", 0.0).seen())
    evidence = withheld(seen, search)
    if kind == "prints":
        assert (evidence.verdict, WITHHELD in evidence.reason) == (Verdict.FAIL, True)
    else:
        assert "a content type that is none" in evidence.reason
    assert "c4n4ry" not in evidence.reason
    assert Reply(200, "text/html; charset=utf-8", b"", 0.0).seen() == "HTTP 200 (text/html, 0 bytes)"


@pytest.mark.parametrize("kind", NASTY)
def test_evidence_that_holds_a_secret_is_withheld(kind: str) -> None:
    """The row fails and names the key; the value is in no form in it."""
    search = Search({"TOKEN": Secret(NASTY[kind])})
    evidence = withheld(record_with(NASTY[kind]).entries["slo.latency"].evidence, search)
    assert (evidence.verdict, WITHHELD in evidence.reason) == (Verdict.FAIL, True)
    assert search.in_text(evidence.reason) == []
    clean = replace(evidence, reason="HTTP 200 (text/html, 12 bytes)")
    assert withheld(clean, search) is clean


def test_a_secret_with_few_characters_that_print_raises_no_false_alarm() -> None:
    """Four letters between line feeds are in every text; five in their order are looked for."""
    assert Search({"A": Secret("t\n\n\nhe\n")}).in_text("the others") == []
    assert Search({"A": Secret("ab\ncdefg")}).in_text("abXcdefg ab-cdefg") == []
    assert Search({"A": Secret("ab\ncdefg")}).in_text("ab cdefg") == ["A"]

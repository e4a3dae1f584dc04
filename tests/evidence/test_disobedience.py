"""Who disobeys a flag is told what to do: which instance, which key, what it says of itself, and how to check."""

import pytest

from drill.disobedience import UNKNOWN, named_in, next_step, note, who
from drill.record import DrillRecord, Evidence
from drill.report.answers import headline
from drill.verdict import Verdict
from tests.evidence.records import green

DUAL, SHADOW = "FF_RETRIEVAL_DUAL_WRITE=OFF", "FF_RETRIEVAL_SHADOW_READ=OFF"


def disobeyed() -> DrillRecord:
    record = green()
    note(record, "10.0.0.11:8000", DUAL, "it says so itself")
    note(record, "10.0.0.11:8000", SHADOW, "")
    return record


def test_the_next_step_names_instance_keys_and_what_it_says() -> None:
    text = next_step(disobeyed(), "/internal/flags")
    assert text.startswith(f"not obeyed by 10.0.0.11:8000: {DUAL} (it says so itself), {SHADOW}. Find what sets")
    for hint in ("systemctl cat", "--force-recreate", "run the same command again, or ask /internal/flags of it"):
        assert hint in text
    assert "\n" not in text


def test_nobody_who_disobeys_and_a_file_that_was_put_back_need_no_such_step() -> None:
    assert next_step(green()) == ""
    record = disobeyed()
    record.restored = True
    assert next_step(record) == ""


def test_many_instances_are_counted() -> None:
    record = green()
    for number in range(5):
        note(record, f"a:{number}", DUAL, "")
    assert "; and 2 more. Find" in next_step(record)


def test_the_report_gives_it_as_what_to_do_next() -> None:
    record = disobeyed()
    record.next_step = next_step(record)
    record.entries["disable_dual_write"].evidence = Evidence(Verdict.FAIL, "dual-write moved: 10.0.0.11:8000 +1")
    assert headline(record, ()).next.startswith("Not obeyed by 10.0.0.11:8000")
    record.next_step = ""
    assert headline(record, ()).next.startswith("The red rows below")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dual-write moved: a:80 errors +1", ["a:80"]),
        ("dual-write moved: a:8000 errors +1, b:80/x", ["a:8000", "b:80"]),
        ("2 documents are on the target", []),
        ("xa:80, a:800", []),
    ],
)
def test_an_instance_is_named_whole(text: str, found: list[str]) -> None:
    assert named_in(text, ["a:80", "a:8000", "b:80"]) == found


@pytest.mark.parametrize(
    ("text", "instances", "meant"),
    [
        ("2 documents are on the target", ["a:80"], ["a:80"]),
        ("2 documents are on the target", ["a:80", "b:80"], [UNKNOWN]),
        ("2 documents are on the target (written through b:80)", ["a:80", "b:80"], ["b:80"]),
    ],
)
def test_of_one_instance_it_is_known_who_is_meant(text: str, instances: list[str], meant: list[str]) -> None:
    assert who(text, instances) == meant

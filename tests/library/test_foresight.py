"""A rehearsal that is green says what ``--apply`` could not prove, and which key would prove it."""

from pathlib import Path
from typing import Any

import pytest

from drill.context import Drill
from drill.foresight import unprovable
from drill.report.answers import headline
from drill.verdict import Verdict
from fixtures.live import verdict_in_words
from tests.evidence.records import green
from tests.library.world import MIGRATING, ROLLED_BACK, A, close_drills, make_drill, reading, snapshot, with_primary

TARGET = '[target]\nkind = "pgvector"\ndsn_env = "DSN"\n'
QUIET = '[slo]\nalerts = ""\n'
CANARY = '[canary]\ntenant = "*"\n'
SPEAKS = {"retrieval_shadow_agreement_at_5_count": 3.0, "retrieval_requests_total{backend=faiss}": 500.0}
WRITES = {"http_requests_total{method=POST,route=/internal/retrieval/ingest,status=201}": 2.0}


def drill_of(folder: Path, toml: str, samples: dict[str, float] | None = None, **choices: Any) -> Drill:
    drill = make_drill(folder, toml=toml, environ={"DSN": "x"}, **{"env": MIGRATING, **choices})
    drill.before = reading(0.0, snapshot(A, SPEAKS if samples is None else samples))
    return with_primary(drill)


def rows(drill: Drill) -> list[str]:
    return [text.partition(",")[0] for text in unprovable(drill)]


@pytest.mark.parametrize(
    ("toml", "samples", "expected"),
    [
        (TARGET + QUIET + CANARY, None, []),
        (TARGET + QUIET, SPEAKS | WRITES, []),
        (TARGET + QUIET, None, ["disable_dual_write"]),
        (QUIET + CANARY, None, ["disable_dual_write"]),
        (TARGET + QUIET + CANARY, {"retrieval_requests_total{backend=faiss}": 500.0}, ["disable_shadow_read"]),
        (TARGET + CANARY, None, ["slo.alerts"]),
        (TARGET + CANARY + '[metrics]\nprometheus_url = "http://p"\n', None, []),
        (TARGET + CANARY + '[metrics]\nprometheus_url = "http://p"\n[slo]\nwatchdog = ""\n', None, ["slo.alerts"]),
        (QUIET + '[service]\nflags_path = "/flags"\n', {}, []),
        ("", {}, ["disable_dual_write", "disable_shadow_read", "slo.alerts"]),
    ],
)
def test_what_nothing_would_prove_is_known_before(
    tmp_path: Path, toml: str, samples: dict[str, float] | None, expected: list[str]
) -> None:
    assert rows(drill_of(tmp_path, toml, samples)) == expected


def test_each_names_what_proves_it_and_what_to_add(tmp_path: Path) -> None:
    (text,) = unprovable(drill_of(tmp_path, QUIET))
    assert text == (
        "disable_dual_write, by a document that stays away from the target: add [target], "
        '[canary] tenant = "*", or [service] flags_path, where each process says its flags'
    )
    close_drills()
    (text,) = unprovable(drill_of(tmp_path, TARGET + QUIET))
    assert "unless users write one through every instance meanwhile" in text


def test_a_drill_that_judges_the_service_itself_foretells_nothing(tmp_path: Path) -> None:
    assert rows(drill_of(tmp_path, "", {}, env=ROLLED_BACK)) == []
    close_drills()
    assert rows(drill_of(tmp_path, "", {}, apply=True)) == []


def test_terminal_and_report_say_it_and_promise_no_more() -> None:
    record = green(apply=False)
    assert verdict_in_words(record) == "the rollback can be applied"
    assert headline(record, ()).next == "To roll back for real, run the same command with --apply."
    record.unprovable = ("slo.alerts, by X: add Y",)
    said = "what it could not prove: slo.alerts, by X: add Y"
    assert verdict_in_words(record) == f"the rollback can be applied; {said}"
    assert headline(record, ()).next.endswith(f"--apply; {said}.")
    assert record.entries["slo.alerts"].evidence.verdict is Verdict.PASS

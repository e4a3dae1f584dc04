"""The main job: rehearse, perform and repeat the rollback of the embedded stack."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from drill.journal.verify import verify
from sandbox.stack import Stack
from tests.drill.harness import ROOT, Desk

SCHEMA = Draft202012Validator(json.loads((ROOT / "drill" / "journal" / "schema.json").read_text()))
FLAGS = {"FF_RETRIEVAL_DUAL_WRITE": "OFF", "FF_RETRIEVAL_SHADOW_READ": "OFF", "RETRIEVAL_BACKEND": "faiss"}


@pytest.fixture(scope="module")
def fresh_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack whose seeded delta nobody has purged, until the one test that does."""
    with Stack.start(tmp_path_factory.mktemp("fresh") / "home") as stack:
        yield stack


def test_a_dry_run_changes_not_one_byte_and_names_what_it_would_change(fresh_stack: Stack, tmp_path: Path) -> None:
    stack = fresh_stack
    desk = Desk(stack.env_file, tmp_path / "artifacts", tmp_path / "reports")
    before, status = stack.env_file.read_bytes(), stack.env_file.stat()
    ran = desk.drill()
    ran.expect(0)
    assert stack.env_file.read_bytes() == before
    assert stack.env_file.stat().st_mtime_ns == status.st_mtime_ns
    assert not stack.env_file.with_name(".env.bak").exists()
    assert ran.entry["apply"] is False
    assert ran.entry["changes"] == FLAGS
    for change in ("FF_RETRIEVAL_DUAL_WRITE: ON -> OFF", "FF_RETRIEVAL_SHADOW_READ: ON -> OFF", "pgvector -> faiss"):
        assert change in ran.output, repr(ran)
    assert [step["outcome"] for step in ran.entry["steps"][1:5]] == ["would_change"] * 4


def test_apply_changes_exactly_three_values_and_a_second_apply_is_no_change_and_green(
    fresh_stack: Stack, tmp_path: Path
) -> None:
    stack, incident_env = fresh_stack, fresh_stack.env_file.read_bytes()
    desk = Desk(stack.env_file, tmp_path / "artifacts", tmp_path / "reports")
    ran = desk.drill("--apply", "--reason", "INC-1 rollback")
    ran.expect(0)
    expected = (
        incident_env.replace(b"DUAL_WRITE=ON", b"DUAL_WRITE=OFF")
        .replace(b"SHADOW_READ=ON", b"SHADOW_READ=OFF")
        .replace(b"RETRIEVAL_BACKEND=pgvector\nRETRIEVAL_TARGET", b"RETRIEVAL_BACKEND=faiss\nRETRIEVAL_TARGET")
    )
    assert stack.env_file.read_bytes() == expected
    assert stack.env_file.with_name(".env.bak").read_bytes() == incident_env
    assert ran.entry["purge"]["purged"] >= stack.seeded.orphans + stack.seeded.stale
    assert 0 < ran.entry["time_to_safety_s"] < 60

    again = desk.drill("--apply")
    again.expect(0)
    assert stack.env_file.read_bytes() == expected
    steps = {step["id"]: step["outcome"] for step in again.entry["steps"]}
    assert [steps[name] for name in ("disable_dual_write", "disable_shadow_read", "force_faiss")] == ["no_change"] * 3
    assert again.entry["changes"] == {}

    assert len(again.entries) == 2
    for entry in again.entries:
        SCHEMA.validate(entry)
    assert verify(desk.artifacts / "rollback_drill_log.ndjson").ok
    assert len(again.reports) == 2


@pytest.mark.parametrize(
    ("fault", "row"),
    [
        ("dual_write_flag_ignored", "disable_dual_write"),
        pytest.param("shadow_read_flag_ignored", "disable_shadow_read", marks=pytest.mark.long),
        pytest.param("backend_flag_ignored", "force_faiss", marks=pytest.mark.long),
    ],
)
def test_a_flag_that_one_of_two_instances_ignores_is_red_at_its_step(
    stack: Stack, desk: Desk, fault: str, row: str
) -> None:
    stack.fault(fault, 1)
    ran = desk.drill("--apply")
    ran.expect(1)
    assert ran.verdicts[row] == "fail", repr(ran)
    others = {"disable_dual_write", "disable_shadow_read", "force_faiss"} - {row}
    # Who disobeys one flag is not believed for another: where no effect was seen, that one is open, never bad.
    assert {ran.verdicts[other] for other in others} <= {"pass", "inconclusive"}, repr(ran)
    assert len(ran.entries) == 1


@pytest.mark.parametrize(
    "fault",
    ["faiss_mismatch", *(pytest.param(f"faiss_{how}", marks=pytest.mark.long) for how in ("emptied", "truncated"))],
)
def test_without_a_sound_faiss_the_drill_refuses_before_any_change(
    stack: Stack, desk: Desk, incident_env: bytes, fault: str
) -> None:
    stack.fault(fault)
    ran = desk.drill("--apply")
    ran.expect(11)
    assert ran.entry["result"] == "refused"
    assert ran.entry["changes"] == {}
    assert stack.env_file.read_bytes() == incident_env
    assert ran.verdicts["preflight.faiss"] == "fail"
    assert len(ran.entries) == 1


def test_a_service_that_does_not_boot_gets_its_previous_env_back(stack: Stack, desk: Desk, incident_env: bytes) -> None:
    stack.fault("crash_on_boot", 1)
    ran = desk.drill("--apply")
    ran.expect(1)
    assert ran.entry["restored"] is True
    assert stack.env_file.read_bytes() == incident_env
    assert "restored" in ran.reason("disable_dual_write")
    assert all(pid is not None for pid in stack.status().instances)


def test_the_report_and_every_artifact_are_free_of_the_env_files_secrets(stack: Stack, desk: Desk) -> None:
    ran = desk.drill("-vv", "--tb=long", "-l", "--junitxml", str(desk.artifacts.parent / "junit.xml"))
    lines = stack.env_file.read_text().splitlines()
    key = next(line for line in lines if line.startswith("SERVICE_API_KEY")).split('"')[1]
    password = stack.dsn.split(":")[2].split("@")[0]
    files = [path for path in desk.artifacts.parent.rglob("*") if path.is_file()]
    assert files
    for path in files:
        text = path.read_bytes()
        assert key.encode() not in text, path
        assert password.encode() not in text, path
    assert key not in ran.output
    assert password not in ran.output


def test_a_part_of_the_runbook_is_never_a_success(desk: Desk) -> None:
    ran = desk.drill("-k", "test_faiss")
    ran.expect(10)
    assert ran.entry["result"] == "inconclusive"


def test_collecting_is_not_drilling(desk: Desk) -> None:
    ran = desk.drill("--collect-only")
    ran.expect(0)
    assert not ran.entries
    assert not Path(desk.artifacts).exists()

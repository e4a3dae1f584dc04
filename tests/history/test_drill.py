"""What follows a drill: the page of all drills, and other tools. Never a reason for another result, or for a wait."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from drill.record import RUNBOOK_ORDER
from tests.drill.harness import Desk
from tests.history import receivers
from tests.history.receivers import GRAFANA, HOOK, TOKEN, listening


def test_every_drill_refused_ones_too_is_on_the_page_with_a_link_to_its_report(desk: Desk) -> None:
    ran = desk.drill()
    ran.expect(1)
    page = desk.reports / "index.html"
    assert f"history: {page}" in ran.output
    assert f'<a href="{ran.reports[0].name}">' in page.read_text()
    desk.env_file.unlink()
    desk.drill().expect(11)
    assert page.read_text().count("<tr class=") == 3, "two drills and one env file"
    assert "<b>refused</b>" in page.read_text()


def test_a_page_that_cannot_be_written_costs_a_line_and_nothing_else(desk: Desk) -> None:
    (desk.reports / "index.html").mkdir(parents=True)
    ran = desk.drill()
    ran.expect(1)
    assert "history: index.html could not be written" in ran.output
    assert [entry["result"] for entry in ran.entries] == ["failure"]
    assert len(ran.reports) == 1


def told(url: str) -> dict[str, Any]:
    """Configure both receivers at ``url``."""
    return {"DRILL_NOTIFY__GRAFANA_URL": url, "DRILL_NOTIFY__GRAFANA_TOKEN_ENV": "MY_TOKEN", "MY_TOKEN": TOKEN} | {
        "DRILL_NOTIFY__WEBHOOK_URL_ENV": "MY_HOOK",
        "MY_HOOK": url + HOOK,
    }


def left_by(desk: Desk) -> str:
    """Return all that a drill has left, as text."""
    files = [path for path in desk.artifacts.parent.rglob("*") if path.is_file()]
    return "".join(path.read_text("utf-8", "replace") for path in files)


def test_a_failed_apply_tells_both_and_shows_no_secret_of_theirs(desk: Desk) -> None:
    with listening() as ears:
        ran = desk.drill("--apply", "-vv", "--log-level=DEBUG", **told(ears.url))
    ran.expect(1)
    assert "was not told" not in ran.output
    assert [body["tags"][3] for body in ears.bodies[GRAFANA]] == ["start", "end"]
    (message,) = ears.bodies[HOOK]
    assert (message["drill_id"], message["result"], message["restored"]) == (ran.entry["drill_id"], "failure", False)
    assert {"id": "preflight.service", "verdict": "fail"} in message["not_proven"]
    for secret in (TOKEN, HOOK, HOOK.rpartition("/")[2]):
        assert secret not in ran.output
        assert secret not in left_by(desk)


FAULTS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "black hole": receivers.black_hole,
    "echo": receivers.echoing,
    "endless": receivers.endless,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_receiver_that_does_its_worst_changes_neither_result_nor_exit_code(desk: Desk, fault: str) -> None:
    with FAULTS[fault]() as url:
        ran = desk.drill("-vv", "--log-level=DEBUG", timeout_s=60, **told(url))
    ran.expect(1)
    assert ran.entry["result"] == "failure"
    assert len(ran.reports) == 1
    assert (ran.output.count("Grafana was not told"), ran.output.count("the webhook was not told")) == (1, 1)
    assert ran.output.index("journal: ") < ran.output.index("was not told"), "the result comes first"
    for secret in (TOKEN, HOOK):
        assert secret not in ran.output
        assert secret not in left_by(desk)


def test_a_wrong_notify_section_is_wrong_usage(desk: Desk) -> None:
    for name, value, words in (
        ("WEBHOOK_URL_ENV", f"https://hooks.example{HOOK}", "the name of a variable"),
        ("GRAFANA_URL", "grafana.internal", "http://host:port"),
        ("WEBHOOK_URL", "x", "unknown setting"),
    ):
        environ: dict[str, Any] = {f"DRILL_NOTIFY__{name}": value}
        ran = desk.drill(**environ)
        ran.expect(4)
        assert words in ran.output
        assert HOOK not in ran.output


def test_in_github_actions_rows_become_annotations_and_the_step_gets_its_summary(desk: Desk, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    ran = desk.drill(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    ran.expect(1)
    lines = ran.output.splitlines()
    assert any(line.startswith("::error title=preflight.service%3A fail::") for line in lines)
    assert any(line.startswith("::warning title=preflight.faiss%3A inconclusive::") for line in lines)
    assert "## Rollback drill: failure (dry-run)" in summary.read_text()
    again = desk.drill(GITHUB_ACTIONS="false", GITHUB_STEP_SUMMARY=str(summary))
    assert "::error" not in again.output
    assert summary.read_text().count("##") == 1


CASES = {
    "preflight.env_file": "test_0_preflight.test_env_file",
    "preflight.window": "test_0_preflight.test_window",
    "preflight.faiss": "test_0_preflight.test_faiss",
    "preflight.service": "test_0_preflight.test_service",
    "preflight.metrics": "test_0_preflight.test_metrics",
    "preflight.rehearsal": "test_0_preflight.test_rehearsal",
    "disable_dual_write": "test_1_rollback.test_disable_dual_write",
    "purge_delta": "test_1_rollback.test_purge_delta",
    "disable_shadow_read": "test_1_rollback.test_disable_shadow_read",
    "force_faiss": "test_1_rollback.test_force_faiss",
    "smoke.search": "test_2_smoke.test_search",
    "smoke.embed": "test_2_smoke.test_embed",
    "smoke.chat": "test_2_smoke.test_chat",
    "slo.latency": "test_3_slo.test_latency",
    "slo.errors": "test_3_slo.test_errors",
    "slo.alerts": "test_3_slo.test_alerts",
    "post.endpoints": "test_4_after.test_endpoints",
    "post.primary_latency": "test_4_after.test_primary_latency",
    "post.target_errors": "test_4_after.test_target_errors",
    "post.circuit_open": "test_4_after.test_circuit_open",
    "post.shadow_silent": "test_4_after.test_shadow_silent",
    "post.backend": "test_4_after.test_backend",
    "post.environment": "test_4_after.test_environment",
    "post.faiss": "test_4_after.test_faiss",
    "reopen.shadow_read": "test_5_reopen.test_reopen_shadow_read",
    "reopen.dual_write": "test_5_reopen.test_reopen_dual_write",
}
"""Names of JUnit test cases, which dashboards keep their history by: changing one is a breaking change."""


def properties(case: ET.Element) -> dict[str, str]:
    return {node.attrib["name"]: node.attrib["value"] for node in case.iter("property")}


@pytest.mark.parametrize("options", [(), ("--apply", "--purge", "defer", "-vv")])
def test_junit_names_stay_the_same_and_each_case_carries_row_and_verdict(
    desk: Desk, tmp_path: Path, options: tuple[str, ...]
) -> None:
    path = tmp_path / "junit.xml"
    ran = desk.drill("--junitxml", str(path), *options)
    cases = list(ET.parse(path).getroot().iter("testcase"))
    seen = {properties(case)["row"]: f"{case.attrib['classname']}.{case.attrib['name']}" for case in cases}
    assert seen == {row: f"drill_tests.{name}" for row, name in CASES.items()}
    assert set(seen) <= set(RUNBOOK_ORDER)
    assert {properties(case)["row"]: properties(case)["verdict"] for case in cases} == {
        row: ran.verdicts[row] for row in seen
    }
    assert [ran.verdicts[row] for row in ("preflight.service", "preflight.metrics")] == ["fail", "error"]
    failed = [case for case in cases if case.find("failure") is not None]
    assert {properties(case)["row"] for case in failed} >= {"preflight.service", "preflight.metrics"} | ran.not_green
    assert f"{len(failed)} failed" in ran.output


def test_a_refused_drill_has_all_its_junit_cases_too(desk: Desk, tmp_path: Path) -> None:
    desk.env_file.unlink()
    path = tmp_path / "junit.xml"
    desk.drill("--junitxml", str(path)).expect(11)
    cases = {properties(case)["row"]: case for case in ET.parse(path).getroot().iter("testcase")}
    assert cases.keys() == CASES.keys()
    green = {row for row, case in cases.items() if all(case.find(kind) is None for kind in ("failure", "error"))}
    assert green == CASES.keys() - {"preflight.env_file"}
    assert all(cases[row].find("skipped") is not None for row in green)
    assert properties(cases["preflight.env_file"])["verdict"] == "fail"

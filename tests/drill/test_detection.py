"""Every fault of the sandbox must turn the drill red or unproven, at the id that watches for it."""

import pytest

from sandbox.stack import Stack
from tests.drill.harness import Desk

EXPECTED: dict[str, tuple[int | None, set[str]]] = {
    "instance_not_restarted": (1, {"disable_dual_write", "disable_shadow_read", "force_faiss"}),
    "dies_after_boot": (1, {"post.backend"}),
    "health_lies": (None, {"smoke.search"}),
    "login_page": (None, {"smoke.search"}),
    "redirect": (None, {"smoke.search"}),
    "empty_results": (1, {"smoke.search"}),
    "same_results": (1, {"smoke.search"}),
    "other_tenant_results": (1, {"smoke.search"}),
    "unknown_ids": (1, {"smoke.search"}),
    "nan_vectors": (1, {"smoke.embed"}),
    "zero_vectors": (1, {"smoke.embed"}),
    "wrong_dimension": (1, {"smoke.embed"}),
    "embed_errors": (1, {"smoke.embed"}),
    "chat_errors": (1, {"smoke.chat"}),
    "chat_empty": (1, {"smoke.chat"}),
    "errors_1_percent": (None, {"slo.errors"}),
    "errors_5_percent": (None, {"slo.errors"}),
    "slow_median": (None, {"slo.latency"}),
    "slow_tail": (None, {"slo.latency"}),
    "latency_drift": (None, {"post.primary_latency"}),
    "metrics_html": (1, {"preflight.metrics", "force_faiss"}),
    "metrics_missing": (1, {"preflight.metrics", "force_faiss"}),
    "metrics_frozen": (1, {"force_faiss"}),
    "metrics_renamed": (1, {"preflight.metrics", "force_faiss"}),
    "shadow_one_percent": (None, {"post.shadow_silent"}),
    "dual_write_one_tenant": (1, {"disable_dual_write"}),
    "process_environment_shadows": (None, {"disable_dual_write"}),
    "outbox_growing": (1, {"post.circuit_open"}),
    "background_target_calls": (1, {"force_faiss"}),
    "endpoint_missing": (1, {"post.endpoints"}),
}
"""Fault -> the instance that has it (``None``: all), and the ids that must not be green."""
QUICK = ("login_page", "metrics_frozen", "errors_5_percent", "endpoint_missing")
"""Always run; the others are the long sweep."""


@pytest.mark.parametrize(
    "fault", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in EXPECTED]
)
def test_a_fault_is_never_green_and_shows_at_its_id(stack: Stack, desk: Desk, fault: str) -> None:
    """No fault ends in success, and the row that watches for it is among those that are not green."""
    instance, rows = EXPECTED[fault]
    stack.fault(fault, instance)
    ran = desk.drill("--apply", DRILL_SERVICE__RELOAD_TIMEOUT_S="20")
    assert ran.code in {1, 10}, repr(ran)
    assert rows <= ran.not_green, repr(ran)
    assert len(ran.entries) == 1

"""What is mutated, how, and which tests must notice."""


def _tests(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/{folder}/test_{name}.py" for name in names)


def _library(*names: str) -> tuple[str, ...]:
    return _tests("library", *names)


FAISS_KEPT = _library("faiss_kept", "faiss_answers")
TARGETS: dict[str, tuple[str, ...]] = {
    "drill/stats.py": _library("stats", "slo"),
    "drill/limits.py": _library("limits"),
    "drill/standstill.py": _library("standstill"),
    "drill/availability.py": _library("availability"),
    "drill/before.py": _library("before"),
    "drill/comeback.py": _library("comeback_states"),
    "drill/metrics/histogram.py": _library("histogram", "slo"),
    "drill/metrics/snapshot.py": _library("scrape", "deltas", "baseline", "histogram"),
    "drill/metrics/exposition.py": _library("exposition", "scrape"),
    "drill/metrics/workers.py": _library("shared_page"),
    "drill/metrics/gauges.py": _tests("proof", "gauges"),
    "drill/checks/silence.py": _library("silence"),
    "drill/checks/flags.py": _library("flags", "silence", "unknown_names"),
    "drill/checks/slo.py": _library("slo", "limited_users"),
    "drill/checks/failures.py": _library("slo"),
    "drill/checks/limited_users.py": _library("limited_users"),
    "drill/checks/unknown_names.py": _library("unknown_names"),
    "drill/checks/unmeasured.py": _library("unmeasured", "slo"),
    "drill/checks/no_probes.py": _library("obeyed", "chat"),
    "drill/checks/environment_kept.py": _library("environment_kept"),
    "drill/checks/history.py": _library("post", "slo"),
    "drill/checks/post.py": _library("post", "stable", "slo", "silence", "endpoints"),
    "drill/checks/endpoints.py": _library("endpoints", "unmeasured"),
    "drill/checks/findings.py": _library("findings"),
    "drill/checks/mendable.py": _library("kinds_of_problems"),
    "drill/checks/heard.py": _library("heard"),
    "drill/checks/smoke.py": _library("smoke", "smoke_bounds", "unmeasured", "fresh"),
    "drill/checks/chat.py": _library("chat", "smoke"),
    "drill/checks/retrieval_asked.py": _library("chat"),
    "drill/checks/obeyed.py": _library("obeyed"),
    "drill/checks/preflight.py": _library("preflight", "preflight_plan"),
    "drill/checks/faiss_answers.py": FAISS_KEPT,
    "drill/checks/faiss_kept.py": FAISS_KEPT,
    "drill/checks/faiss_texts.py": (*FAISS_KEPT, *_library("faiss_texts")),
    "drill/checks/workers.py": _library("workers"),
    "drill/checks/alerts.py": _tests("prometheus", "alerts", "alert_bounds"),
    "drill/checks/permissions.py": _tests("history", "permissions"),
    "drill/proof/weigh.py": _tests("proof", "weigh", "spoken", "counters", "environ", "dual_write"),
    "drill/proof/judge.py": _tests("proof", "spoken", "counters", "gauges", "dual_write"),
    "drill/proof/ranks.py": _tests("proof", "weigh", "spoken", "environ", "dual_write"),
    "drill/proof/counters.py": (*_tests("proof", "counters", "gauges"), *_library("foresight")),
    "drill/proof/copies.py": _tests("proof", "copies", "dual_write"),
    "drill/proof/lookup.py": (*_tests("proof", "dual_write"), "tests/reopen/test_writes.py"),
    "drill/proof/written.py": _tests("proof", "dual_write", "late"),
    "drill/proof/writes.py": _tests("proof", "writes"),
    "drill/proof/stores.py": _tests("proof", "dual_write", "late"),
    "drill/proof/strangers.py": _tests("proof", "dual_write", "late"),
    "drill/proof/late.py": _tests("proof", "late"),
    "drill/proof/spoken.py": _tests("proof", "spoken"),
    "drill/proof/environ.py": _tests("proof", "environ"),
    "drill/proof/listeners.py": _tests("proof", "environ"),
    "drill/purge/doubts.py": _tests("purge", "doubts"),
    "drill/purge/guard.py": _tests("purge", "guard"),
    "drill/reopen/judge.py": _tests("reopen", "judge"),
    "drill/reopen/latency.py": _tests("reopen", "latency"),
    "drill/reopen/shadow.py": _tests("reopen", "shadow", "shadow_bounds"),
    "drill/reopen/writes.py": _tests("reopen", "writes"),
}
"""Module -> the fast tests that judge it; none of them needs a Prometheus or a stack."""

OPERATORS = (
    *("ReplaceComparisonOperator_Lt_GtE", "ReplaceComparisonOperator_Lt_LtE"),
    *("ReplaceComparisonOperator_LtE_Gt", "ReplaceComparisonOperator_LtE_Lt"),
    *("ReplaceComparisonOperator_Gt_LtE", "ReplaceComparisonOperator_Gt_GtE"),
    *("ReplaceComparisonOperator_GtE_Lt", "ReplaceComparisonOperator_GtE_Gt"),
    *("ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq"),
    *("ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is"),
    *("AddNot", "ReplaceUnaryOperator_Delete_Not", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "NumberReplacer"),
)
"""Each comparison is inverted and moved by one step, each condition negated, each ``and``, ``or``, truth value and
number changed. (cosmic-ray has no operator for ``in``; `AddNot` covers it where it is a condition.)"""

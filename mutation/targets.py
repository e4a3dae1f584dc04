"""What is mutated, how, and which tests must notice."""

LIBRARY = "tests/library"
TARGETS: dict[str, tuple[str, ...]] = {
    "drill/stats.py": (f"{LIBRARY}/test_stats.py", f"{LIBRARY}/test_slo.py"),
    "drill/metrics/histogram.py": (f"{LIBRARY}/test_histogram.py", f"{LIBRARY}/test_slo.py"),
    "drill/checks/silence.py": (f"{LIBRARY}/test_silence.py",),
    "drill/checks/flags.py": (f"{LIBRARY}/test_silence.py",),
    "drill/checks/slo.py": (f"{LIBRARY}/test_slo.py",),
    "drill/checks/history.py": (f"{LIBRARY}/test_post.py", f"{LIBRARY}/test_slo.py"),
    "drill/checks/post.py": tuple(f"{LIBRARY}/test_{name}.py" for name in ("post", "stable", "slo", "silence")),
    "drill/checks/smoke.py": (f"{LIBRARY}/test_smoke.py", f"{LIBRARY}/test_smoke_bounds.py"),
    "drill/checks/preflight.py": (f"{LIBRARY}/test_preflight.py", f"{LIBRARY}/test_preflight_plan.py"),
    "drill/checks/faiss_answers.py": (f"{LIBRARY}/test_faiss_answers.py",),
    "drill/checks/faiss_kept.py": (f"{LIBRARY}/test_faiss_kept.py",),
    "drill/before.py": (f"{LIBRARY}/test_before.py",),
    "drill/comeback.py": (f"{LIBRARY}/test_comeback_states.py",),
    "drill/checks/workers.py": (f"{LIBRARY}/test_workers.py",),
    "drill/checks/alerts.py": ("tests/prometheus/test_alerts.py", "tests/prometheus/test_alert_bounds.py"),
    "drill/checks/permissions.py": ("tests/history/test_permissions.py",),
    "drill/reopen/judge.py": ("tests/reopen/test_judge.py",),
    "drill/reopen/latency.py": ("tests/reopen/test_latency.py",),
    "drill/reopen/shadow.py": ("tests/reopen/test_shadow.py", "tests/reopen/test_shadow_bounds.py"),
    "drill/reopen/writes.py": ("tests/reopen/test_writes.py",),
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

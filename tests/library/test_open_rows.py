"""What a drill says at its end: what is bad, and apart from it what is only not proven."""

from drill.open_rows import FORETOLD, what_is_open
from drill.record import DrillRecord, Evidence
from drill.verdict import Result, Verdict
from fixtures.live import verdict_in_words


def record(**verdicts: Evidence) -> DrillRecord:
    made = DrillRecord("id", ".env", "tester", apply=True, notes="drill")
    for row in made.entries.values():
        row.evidence = Evidence(Verdict.PASS, "well")
    for name, evidence in verdicts.items():
        made.entries[name.replace("__", ".")].evidence = evidence
    return made


def test_each_row_stands_under_what_was_found_out_about_it() -> None:
    """Only what failed is measured and bad; the rest is named apart, the worst first."""
    made = record(
        preflight__service=Evidence(Verdict.NOT_RUN, "-"),
        slo__errors=Evidence(Verdict.FAIL, "-"),
        slo__latency=Evidence(Verdict.INCONCLUSIVE, "-"),
        slo__alerts=Evidence(Verdict.ERROR, "-"),
        post__backend=Evidence(Verdict.FAIL, "-"),
    )
    assert verdict_in_words(made) == (
        "measured and bad: slo.errors, post.backend; could not be measured: slo.alerts; not proven: slo.latency; "
        "not run: preflight.service"
    )


def test_what_a_dry_run_foretells_is_not_called_measured_after_the_rollback() -> None:
    """A row that was judged in advance has its own words."""
    made = record(smoke__embed=Evidence(Verdict.FAIL, f"{FORETOLD}: zero vectors"))
    made.apply = False
    assert made.result is Result.FAILURE
    assert verdict_in_words(made) == "would be red after --apply: smoke.embed"


def test_rows_that_nobody_requires_are_not_named_and_all_green_says_nothing() -> None:
    """What is not required is no reason."""
    made = record(slo__errors=Evidence(Verdict.FAIL, "-"))
    made.entries["slo.errors"].required = False
    assert what_is_open(made) == ""


def test_an_interrupted_drill_names_what_it_did_not_come_to() -> None:
    """How it ended and what is open are one sentence."""
    made = record(slo__errors=Evidence(Verdict.NOT_RUN, "-"))
    made.interrupted, made.flags_written = "SIGTERM", True
    assert verdict_in_words(made).endswith("run it again; not run: slo.errors")

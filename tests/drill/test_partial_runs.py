"""Command lines that run a part of the drill, repeat it, reorder it or do not run it: never a wrong green."""

import re
import sys
from pathlib import Path

import pytest

from tests.drill.harness import ENV, ROOT, Desk, Ran

REVERSED = """
import pytest

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items):
    result = yield
    items.reverse()
    return result
"""
TWICE = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        runtestprotocol(item, nextitem=nextitem)
    return True
"""
STEP = "drill_tests/test_1_rollback.py::test_force_faiss"
EDIT = b'"kind": "intent", "action": "env_file.replace"'


def edits(desk: Desk) -> int:
    """Return how often any drill of the desk was about to replace its env file."""
    return sum(path.read_bytes().count(EDIT) for path in desk.artifacts.glob("drills/*/events.ndjson"))


def plugin(folder: Path, name: str, text: str = "") -> tuple[str, ...]:
    """Make a plugin of one file and return the options that load it."""
    (folder / f"{name}.py").write_text(text)
    return "-p", name


def run(desk: Desk, *options: str, **environ: str) -> Ran:
    """Run a drill that finds the plugins of the desk's folder, and does not wait for a service that is not there."""
    found = {"PYTHONPATH": str(desk.env_file.parent), **environ}
    return desk.drill(
        *options, DRILL_SERVICE__RELOAD_TIMEOUT_S="0.2", DRILL_SERVICE__ON_BOOT_FAILURE="leave", timeout_s=120, **found
    )


@pytest.mark.parametrize("option", ["--collect-only", "--setup-plan", "--fixtures", "--fixtures-per-test", "--help"])
def test_what_is_no_run_leaves_no_line_and_changes_nothing(env_desk: Desk, option: str) -> None:
    ran = run(env_desk, "--apply", option)
    ran.expect(0)
    assert not env_desk.artifacts.exists()
    assert not env_desk.reports.exists()
    assert env_desk.env_file.read_bytes() == ENV


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--setup-only",), "--setup-only"),
        (("-n2",), "-n2"),
        (("--reruns", "2"), "--reruns"),
        (("-p", "no:pytest_order"), "-p no:pytest_order"),
        (("-p", "no:terminal"), "-p no:terminal"),
        (("-p", "no:capture"), "-p no:capture"),
        (("-p", "no:junitxml"), "-p no:junitxml"),
        (("-p", "no:fixtures.options"), "-p no:fixtures.options"),
        (("--lf",), "--lf"),
        (("--ff",), "--ff"),
        (("--stepwise",), "--stepwise"),
        (("--pdb",), "--pdb"),
        (("--trace",), "--trace"),
        (("--noconftest",), "--noconftest"),
        (("-p", "xdist"), "xdist"),
        (("-p", "xdist", "-n2"), "the plugin xdist"),
        (("-p", "pytest_rerunfailures"), "pytest_rerunfailures"),
        (("-p", "reversed_rows"), "order of the runbook"),
        (("--keep-duplicates", STEP, STEP, "-p", "doubled_rows"), "a test given twice"),
    ],
    ids=lambda value: value.strip("-").replace(" ", "_") if isinstance(value, str) else "",
)
def test_what_would_repeat_or_reorder_rows_is_refused_before_the_drill_begins(
    env_desk: Desk, tmp_path: Path, options: tuple[str, ...], word: str
) -> None:
    plugin(tmp_path, "pytest_rerunfailures")
    plugin(tmp_path, "reversed_rows", REVERSED)
    plugin(tmp_path, "doubled_rows", REVERSED.replace("items.reverse()", "items[:] = [i for i in items for _ in '12']"))
    ran = run(env_desk, "--apply", *(option.format(folder=tmp_path) for option in options))
    ran.expect(4)
    assert word in ran.output
    assert not ran.entries
    assert env_desk.env_file.read_bytes() == ENV


@pytest.mark.parametrize(
    "options",
    [
        ("-k", "env_file or window"),
        ("-m", "drill", "-k", "test_window"),
        ("--deselect", "drill_tests/test_0_preflight.py"),
    ],
    ids=["k", "m", "deselect"],
)
def test_a_part_that_is_green_by_itself_is_inconclusive(env_desk: Desk, options: tuple[str, ...]) -> None:
    env_desk.env_file.write_bytes(ENV)
    ran = run(env_desk, "--purge", "off", *options)
    ran.expect(10)
    assert [entry["result"] for entry in ran.entries] == ["inconclusive"]
    assert "fail" not in ran.verdicts.values()


def test_one_row_by_its_node_id_writes_its_flag_only_once_and_is_never_green(env_desk: Desk) -> None:
    command = [part if "drill_tests" not in part else str(ROOT / STEP) for part in env_desk.command("--apply")]
    ran = run_command(env_desk, [*command, str(ROOT / STEP)])
    ran.expect(10)  # the service was not there before either
    assert (len(ran.entries), edits(env_desk)) == (1, 1)
    assert env_desk.env_file.read_bytes() == ENV.replace(b"pgvector", b"faiss")


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_stopping_at_the_first_failure_stops_no_row(env_desk: Desk, option: str) -> None:
    ran = run(env_desk, "--apply", option)
    ran.expect(1)
    assert edits(env_desk) == 1
    assert {step["outcome"] for step in ran.entry["steps"][1:5]} <= {"error", "not_run", "applied"}
    assert "was not run" not in {row["reason"] for row in (*ran.entry["steps"][1:5], *ran.entry["checks"][:17])}


def test_a_plugin_that_nobody_knows_and_that_runs_each_row_twice_changes_nothing_twice(
    env_desk: Desk, tmp_path: Path
) -> None:
    ran = run(env_desk, "--apply", *plugin(tmp_path, "twice", TWICE))
    ran.expect(1)
    events = next(env_desk.artifacts.glob("drills/*/events.ndjson")).read_text()
    assert (len(ran.entries), edits(env_desk), events.count('"action": "reload"')) == (1, 1, 2)
    assert events.count('"id": "force_faiss"') == 1


@pytest.mark.parametrize("selection", [(), ("-k", "force_faiss"), ("-k", "disable")], ids=["all", "faiss", "disable"])
def test_selecting_steps_does_not_open_the_gates(env_desk: Desk, selection: tuple[str, ...]) -> None:
    ran = run(env_desk, "--apply", *selection, DRILL_WINDOW__CLOSES="2020-01-01T00:00:00Z")
    ran.expect(11)
    assert ran.entry["result"] == "refused"
    assert edits(env_desk) == 0
    assert env_desk.env_file.read_bytes() == ENV


@pytest.mark.parametrize("moved", ["env file", "plan without a zone"])
def test_selecting_steps_does_not_open_the_gate_of_the_plan(env_desk: Desk, moved: str) -> None:
    """The row that reports it is left out, and the plan does not hold."""
    run(env_desk, "-k", "env_file")
    plan = next((env_desk.artifacts / "plans").glob("*.json"))
    before = ENV
    if moved == "env file":
        before += b"NEW=1\n"
        env_desk.env_file.write_bytes(before)
    else:
        plan.write_text(re.sub(r'("created": "[^"+]*)[+]00:00"', r'\1"', plan.read_text()))
    ran = run(env_desk, "--apply", "--plan", plan.stem, "-k", "not env_file")
    ran.expect(11 if moved == "env file" else 4)
    assert edits(env_desk) == 0
    assert env_desk.env_file.read_bytes() == before


def test_without_asserts_the_verdicts_are_the_same(env_desk: Desk) -> None:
    """``python -O`` takes every ``assert`` away."""
    plain = run(env_desk, "--apply")
    env_desk.env_file.write_bytes(ENV)
    command = env_desk.command("--apply")
    optimised = run_command(env_desk, [command[0], "-O", *command[1:]])
    assert (optimised.code, optimised.verdicts) == (plain.code, plain.verdicts)
    assert (optimised.code, len(optimised.entries), edits(env_desk)) == (1, 2, 2)


def run_command(desk: Desk, command: list[str]) -> Ran:
    """Run another command line on the desk."""

    class Other(Desk):
        def command(self, *_options: str) -> list[str]:
            return command

    assert command[0] == sys.executable
    return run(Other(desk.env_file, desk.artifacts, desk.reports))

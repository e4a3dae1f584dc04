"""The machine around a drill: what it lacks, and what its environment tells pytest, changes no result."""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.drill.harness import ENV, ROOT, Desk, Ran
from tests.drill.test_bad_input import clear_line
from tests.drill.test_env_files import AFTER
from tests.drill.test_partial_runs import plugin, run
from tests.reliability.test_bind_mount import namespace_problem

QUICKLY = {"DRILL_SERVICE__RELOAD_TIMEOUT_S": "0.2", "DRILL_SERVICE__ON_BOOT_FAILURE": "leave"}
QUICKLY |= {"DRILL_SLO__OBSERVE_S": "1", "GITHUB_ACTIONS": "", "PYTEST_ADDOPTS": ""}
READ_ONLY_CHECKOUT = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"'
NO_TEMPORARY_FILES = (
    'mount --bind "$1" /srv; mount --bind "$2" /mnt; for place in /tmp /var/tmp /usr/tmp /dev/shm; do '
    '[ ! -d "$place" ] || mount -t tmpfs -o ro none "$place"; done; '
    'for here in "$1" "$2"; do '
    '[ -d "$here" ] || { mount -o remount,rw /tmp; mkdir -p "$here"; mount -o remount,ro /tmp; }; done; '
    'mount --bind /srv "$1"; mount --bind /mnt "$2"'
)
"""Everything but the checkout's file system and the desk is read-only."""
NAMESPACES = pytest.mark.skipif(bool(problem := namespace_problem()), reason=problem or "namespaces work")


def drilled(desk: Desk, command: list[str], environ: Mapping[str, str] = {}) -> Ran:
    """Run a drill by another command."""
    env = {**os.environ, **QUICKLY, **environ}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=180, check=False)
    return Ran(command, done.returncode, done.stdout + done.stderr, list(desk.journal()), desk.found_reports())


def in_namespace(desk: Desk, mounts: str, *, environ: Mapping[str, str]) -> Ran:
    """Run a drill with ``--apply`` in a mount namespace of its own."""
    unshare = shutil.which("unshare") or "unshare"
    shell = f'set -e; {mounts}; shift 2; exec "$@"'
    words = desk.command("--apply")
    command = [*words[: words.index("no:cacheprovider") - 1], *words[words.index("no:cacheprovider") + 1 :]]
    return drilled(
        desk, [unshare, "-rm", "sh", "-c", shell, "sh", str(ROOT), str(desk.env_file.parent), *command], environ
    )


def judged(ran: Ran, desk: Desk) -> None:
    """Assert that the drill came to its own end: flags written, one line, exit 1 for what it measured."""
    ran.expect(1)
    assert desk.env_file.read_bytes() == AFTER
    assert [(entry["result"], entry["exit_code"]) for entry in ran.entries] == [("failure", 1)]
    assert "INTERNALERROR" not in ran.output
    assert len(ran.reports) == 1, ran


@NAMESPACES
def test_a_checkout_that_cannot_be_written_costs_nothing(env_desk: Desk) -> None:
    """pytest's cache would be kept there, and a drill needs none."""
    judged(in_namespace(env_desk, READ_ONLY_CHECKOUT, environ={}), env_desk)


@NAMESPACES
def test_without_the_usual_places_temporary_files_go_to_the_home_directory(env_desk: Desk) -> None:
    home = str(env_desk.env_file.parent)
    mounts = f"{NO_TEMPORARY_FILES}; {READ_ONLY_CHECKOUT}"
    judged(in_namespace(env_desk, mounts, environ={"HOME": home, "XDG_RUNTIME_DIR": "", "TMPDIR": ""}), env_desk)


@NAMESPACES
def test_without_any_place_for_temporary_files_one_line_says_so(env_desk: Desk) -> None:
    mounts = f"{NO_TEMPORARY_FILES}; {READ_ONLY_CHECKOUT}"
    nowhere = {"HOME": "/proc", "XDG_RUNTIME_DIR": "", "XDG_STATE_HOME": "", "TMPDIR": ""}
    ran = in_namespace(env_desk, mounts, environ=nowhere)
    ran.expect(4)
    clear_line(ran.output, "no directory takes temporary files", "set TMPDIR")
    assert env_desk.env_file.read_bytes() == ENV


ENVIRONMENTS = {
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "no home": {"HOME": "/nonexistent/home"},
    "no bytecode, safe path": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"},
    "a terminal that can nothing": {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "20"},
    "ASCII only": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "options that only show": {"PYTEST_ADDOPTS": "-ra --color=yes --tb short -W error -p no:cacheprovider -v"},
}


@pytest.mark.parametrize("environ", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_an_odd_environment_changes_no_result(tmp_path: Path, environ: dict[str, str]) -> None:
    """The paths hold letters that are not ASCII."""
    folder = tmp_path / "bétrieb"
    folder.mkdir()
    (folder / "drill.toml").write_text('[service]\nbase_url = "http://127.0.0.1:9"\n')
    (folder / "service.env").write_bytes(ENV)
    desk = Desk(folder / "service.env", folder / "artifacts", folder / "reports")
    judged(drilled(desk, desk.command("--apply"), environ), desk)


WARNS = """
import warnings
import pytest

warnings.warn("builtin type SwigPyPacked has no __module__ attribute", DeprecationWarning)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    warnings.warn("in a row", DeprecationWarning)
    return (yield)

@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish():
    warnings.warn("at the end", ResourceWarning)
    return (yield)
"""


@pytest.mark.parametrize("options", [(), ("-W", "error"), ("-o", "filterwarnings=error")], ids=["", "W", "ini"])
def test_a_warning_of_somebody_else_changes_no_result(env_desk: Desk, tmp_path: Path, options: tuple[str, ...]) -> None:
    """As of a FAISS that Python 3.13 finds old-fashioned, when it is imported and while a row runs."""
    text = (
        WARNS if not options else WARNS.replace("warnings.warn(", "print(", 1)
    )  # pytest itself makes that one an error
    ran = run(env_desk, "--apply", *plugin(tmp_path, "warns", text), *options, DRILL_SLO__OBSERVE_S="1")
    judged(ran, env_desk)
    assert "the drill itself failed" not in ran.output


def test_warnings_are_errors_in_the_project_s_own_tests() -> None:
    with pytest.raises(UserWarning, match="seen"):
        warnings.warn("seen", UserWarning, stacklevel=1)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_result(env_desk: Desk, closed: str) -> None:
    """What a drill opens must not be taken for a stream: then what is printed would stand in the env file."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *env_desk.command("--apply")]
    judged(drilled(env_desk, command), env_desk)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("-n 4", "'-n'"),
        ("-k window", "'-k'"),
        ("-p no:terminal", "'-p'"),
        ("-p no_such_plugin", "'-p'"),
        ("--deselect=drill_tests/test_1_rollback.py", "'--deselect'"),
        ("-v /etc", "'/etc'"),
    ],
)
def test_an_option_in_the_environment_that_does_more_than_show_is_refused_by_name(
    env_desk: Desk, options: str, word: str
) -> None:
    ran = drilled(env_desk, env_desk.command("--apply"), {"PYTEST_ADDOPTS": options})
    ran.expect(4)
    clear_line(ran.output, "PYTEST_ADDOPTS", word, "unset")
    assert "INTERNALERROR" not in ran.output
    assert not ran.entries
    assert env_desk.env_file.read_bytes() == ENV


def test_plugins_in_the_environment_are_refused(env_desk: Desk) -> None:
    ran = drilled(env_desk, env_desk.command("--apply"), {"PYTEST_PLUGINS": "no_such_plugin"})
    ran.expect(4)
    clear_line(ran.output, "PYTEST_PLUGINS", "unset")


def test_the_runbook_s_own_command_says_when_pytest_cannot_start(env_desk: Desk) -> None:
    """Python itself would exit with 1, which means that something was measured and is bad."""
    command = [sys.executable, str(ROOT / "scripts" / "rollback_retrieval.py"), "--apply"]
    ran = drilled(env_desk, [*command, "--env-file", str(env_desk.env_file)], {"PYTEST_ADDOPTS": "'"})
    ran.expect(3)
    clear_line(ran.output, "rollback_retrieval.py", "pytest could not be started", "quotation")
    assert env_desk.env_file.read_bytes() == ENV

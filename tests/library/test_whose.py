"""Files that others could have written are not obeyed, and what honest people have is."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drill import whose
from drill.config_load import find_config, load_config
from drill.envfile import EnvFile
from drill.envfile.files import record_path
from drill.envfile.inplace import Record
from drill.envfile.read import read_own_values
from drill.errors import EnvFileRefused, UsageError
from tests.envfile.support import PLAIN, MemoryLog

STRANGER, OTHER = 12345, 23456
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
TOML = '[service]\nreload_command = ["/bin/echo", "planted"]\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a configuration and an env file, both in order."""
    (tmp_path / "drill.toml").write_text(TOML)
    (tmp_path / ".env").write_bytes(PLAIN)
    return tmp_path


def command_of(place: Path, env: dict[str, str | None] | None = None) -> list[str]:
    path = find_config(None, place / ".env", place)
    return load_config(path, place / ".env", env or {}, {}).service.reload_command


def give(path: Path) -> None:
    os.chown(path, STRANGER, STRANGER)


def toml(place: Path) -> Path:
    return place / "drill.toml"


WRONG: dict[str, list[Callable[[Path], object]]] = {
    "writable by everybody": [lambda place: toml(place).chmod(0o666)],
    "in a directory of everybody": [lambda place: place.chmod(0o777)],
    "hard link": [lambda place: os.link(toml(place), place / "another")],
    "directory": [lambda place: toml(place).unlink(), lambda place: toml(place).mkdir()],
    "FIFO": [lambda place: toml(place).unlink(), lambda place: os.mkfifo(toml(place))],
    "nowhere": [lambda place: toml(place).unlink(), lambda place: toml(place).symlink_to("nowhere")],
}
WRONG_OF_ROOT: dict[str, list[Callable[[Path], object]]] = {
    "a stranger's": [lambda place: give(toml(place))],
    "a stranger's in a sticky directory": [lambda place: give(toml(place)), lambda place: place.chmod(0o1777)],
    "in a stranger's directory": [give],
    "writable by a group": [lambda place: os.chown(toml(place), 0, OTHER), lambda place: toml(place).chmod(0o664)],
}


def test_a_file_in_order_is_obeyed(place: Path) -> None:
    """The control: nothing is refused where nobody else could have written."""
    assert command_of(place) == ["/bin/echo", "planted"]


@pytest.mark.parametrize("how", WRONG)
def test_a_configuration_that_others_could_have_put_gives_nothing(place: Path, how: str) -> None:
    """It ends the drill with one line that names the file; a FIFO does not hang it."""
    for change in WRONG[how]:
        change(place)
    with pytest.raises(UsageError, match=r"^drill\.toml: [^\n]*$"):
        command_of(place)


@ROOT_ONLY
@pytest.mark.parametrize("how", WRONG_OF_ROOT)
def test_a_configuration_of_others_gives_nothing(place: Path, how: str) -> None:
    """Owner and mode stand in the line, and the command that would change them."""
    for change in WRONG_OF_ROOT[how]:
        change(place)
    with pytest.raises(UsageError, match=r"^drill\.toml: [^\n]*(12345|23456)[^\n]*(chown|chmod)[^\n]*$"):
        command_of(place)


@ROOT_ONLY
def test_a_link_that_a_stranger_put_is_not_followed(place: Path) -> None:
    """It may lead to a file of root that means something else; root's own link, as a ConfigMap has, is followed."""
    (place / "drill.toml").rename(place / "real.toml")
    (place / "drill.toml").symlink_to("real.toml")
    assert command_of(place) == ["/bin/echo", "planted"]
    os.lchown(place / "drill.toml", STRANGER, STRANGER)
    with pytest.raises(UsageError, match="12345"):
        command_of(place)


@ROOT_ONLY
def test_who_called_sudo_and_the_owner_of_the_code_may_command(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Both could have the drill do anything already."""
    give(place / "drill.toml")
    give(place)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert command_of(place)
    monkeypatch.delenv("SUDO_UID")
    code = tmp_path_factory.mktemp("code") / "whose.py"
    code.touch()
    give(code)
    monkeypatch.setattr(whose, "__file__", str(code))
    assert command_of(place)


@ROOT_ONLY
def test_a_directory_that_is_named_as_trusted_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mounted volume has other owners; a relative name or another directory changes nothing."""
    give(place / "drill.toml")
    for named in (".", str(place.with_name("elsewhere"))):
        monkeypatch.setenv(whose.TRUSTED_DIRS, named)
        with pytest.raises(UsageError, match="DRILL_TRUSTED_DIRS"):
            command_of(place)
    monkeypatch.setenv(whose.TRUSTED_DIRS, f"/nowhere{os.pathsep}{place}")
    assert command_of(place)


def test_a_private_group_may_write(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distributions give each user a group of their own and a umask of 002; a group with another member is another."""
    uid, gid = os.geteuid(), (place / "drill.toml").stat().st_gid
    users, groups = place / "passwd", place / "group"
    users.write_text(f"me:x:{uid}:{gid}::/:\nother:x:4242:4242::/:\nodd line\n")
    groups.write_text(f"mine:x:{gid}:me\nodd:x:y:\n")
    monkeypatch.setattr(whose, "_USERS", users)
    monkeypatch.setattr(whose, "_GROUPS", groups)
    for path in (place, place / "drill.toml"):
        path.chmod(path.stat().st_mode | 0o020)
    whose._members.cache_clear()
    assert command_of(place)
    groups.write_text(f"mine:x:{gid}:me,other\n")
    whose._members.cache_clear()
    with pytest.raises(UsageError, match="group"):
        command_of(place)
    whose._members.cache_clear()


@pytest.mark.parametrize("key", ["SERVICE__RELOAD_COMMAND", "service__Outbox_Replay_Command", "REHEARSAL__COMMAND"])
def test_no_command_is_taken_from_the_env_file(place: Path, key: str) -> None:
    """Who configures the service is not who runs the drill; the process environment may name one."""
    with pytest.raises(UsageError, match=r"never taken from the service's env file; move it$"):
        command_of(place, {f"DRILL_{key}": '["/bin/sh"]'})
    environ = {"DRILL_SERVICE__RELOAD_COMMAND": '["mine"]'}
    assert load_config(None, place / ".env", {}, environ).service.reload_command == ["mine"]


@ROOT_ONLY
def test_the_env_file_may_be_its_services_but_not_in_a_directory_of_many(place: Path) -> None:
    """Where only the directory's owner makes files, nobody else has put it there."""
    path = place / ".env"
    assert read_own_values(path)["A"] == "1"
    for given in (path, place):
        give(given)
        assert read_own_values(path)["A"] == "1"
    os.chown(place, 0, 0)
    place.chmod(0o1777)
    with pytest.raises(EnvFileRefused, match=r"^\.env is refused: \.env belongs to user 12345[^\n]*chown"):
        read_own_values(path)
    os.chown(path, 0, 0)
    assert read_own_values(path)["A"] == "1"
    path.chmod(0o666)
    with pytest.raises(EnvFileRefused, match=r"everybody \(mode 0666\)[^\n]*chmod"):
        read_own_values(path)


@ROOT_ONLY
@pytest.mark.parametrize("read_only", [True, False])
def test_a_planted_record_of_an_interrupted_write_is_not_obeyed(place: Path, *, read_only: bool) -> None:
    """The env file keeps its bytes; a record of its own owner is obeyed, which is the control."""
    path, torn = place / ".env", PLAIN[:-2] + b"\0\0"
    path.write_bytes(torn)
    record = record_path(path)
    record.write_bytes(Record(PLAIN, PLAIN.replace(b"ON", b"XX")).encoded())
    place.chmod(0o1777)
    give(record)
    with pytest.raises(EnvFileRefused, match=r"\.env\.drill-inplace is not obeyed: [^\n]*12345"):
        EnvFile.open(path, intents=MemoryLog(), read_only=read_only)
    assert path.read_bytes() == torn
    os.chown(record, 0, 0)
    EnvFile.open(path, intents=MemoryLog()).close()
    assert path.read_bytes() == PLAIN


def test_a_fifo_as_a_record_is_named(place: Path) -> None:
    """It is refused in a line, and nobody waits for a writer."""
    os.mkfifo(record_path(place / ".env"))
    with pytest.raises(EnvFileRefused, match="not a regular file"):
        EnvFile.open(place / ".env", intents=MemoryLog())


def test_settings_of_matplotlib_in_the_working_directory_are_not_obeyed(tmp_path: Path) -> None:
    """They may start TeX, and may be a FIFO, which whoever opens it waits for."""
    program = (
        "from drill.report.plots.svg import Canvas\n"
        "with Canvas(2, 2) as figure: figure.subplots().set_title('$x$')\n"
        "import matplotlib; print(matplotlib.rcParams['text.usetex'])"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(whose.__file__).parents[1])}
    command = [sys.executable, "-c", program]
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 99\n")
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout == "False\n"
    (tmp_path / "matplotlibrc").unlink()
    os.mkfifo(tmp_path / "matplotlibrc")
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout == "False\n"

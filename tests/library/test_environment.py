"""Which environment an env file is: one by every path that leads there, another for every copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drill.environment import DIGITS, environment_id

BOUND = """
import subprocess, sys
from pathlib import Path
from drill.environment import environment_id
here, there = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "--bind", here, there], check=True)
print(environment_id(here / ".env") if here.is_dir() else environment_id(here))
print(environment_id(there / ".env") if there.is_dir() else environment_id(there))
"""


def checkout(place: Path) -> Path:
    place.mkdir()
    env_file = place / ".env"
    env_file.write_text("RETRIEVAL_BACKEND=pgvector\n")
    return env_file


def test_an_environment_is_one_by_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Symlinked directory, detour, relative path; and after a replace of the file, which gives it a new inode."""
    env_file = checkout(tmp_path / "app")
    known = environment_id(env_file)
    assert len(known) == DIGITS
    (tmp_path / "current").symlink_to("app")
    monkeypatch.chdir(tmp_path / "app")
    paths = [tmp_path / "current" / ".env", tmp_path / "app" / ".." / "app" / ".env", Path(".env")]
    assert {environment_id(path) for path in paths} == {known}
    (tmp_path / "app" / "new").write_text("RETRIEVAL_BACKEND=faiss\n")
    (tmp_path / "app" / "new").replace(env_file)
    assert environment_id(env_file) == known


def test_two_checkouts_and_two_files_of_one_directory_are_different(tmp_path: Path) -> None:
    """A copy is another environment, whatever its files are called and hold; so is a second env file beside it."""
    env_file = checkout(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    os.link(env_file, tmp_path / "one" / "other.env")
    paths = [env_file, tmp_path / "two" / ".env", tmp_path / "one" / "other.env"]
    assert len({environment_id(path) for path in paths}) == len(paths)


def test_a_moved_checkout_is_the_same_and_what_takes_its_place_is_not(tmp_path: Path) -> None:
    env_file = checkout(tmp_path / "app")
    known = environment_id(env_file)
    (tmp_path / "app").rename(tmp_path / "moved")
    assert environment_id(tmp_path / "moved" / ".env") == known
    assert environment_id(checkout(tmp_path / "app")) != known


@pytest.mark.parametrize("what", ["directory", "symlinked directory"])
def test_a_bind_mount_is_the_same(tmp_path: Path, what: str) -> None:
    """Two paths, one directory: each leads to the same env file."""
    env_file = checkout(tmp_path / "app")
    here = env_file.parent
    if what == "symlinked directory":
        here = tmp_path / "current"
        here.symlink_to("app")
    (tmp_path / "bound").mkdir()
    first, second = in_a_mount_namespace(here, tmp_path / "bound")
    assert first == second == environment_id(env_file)


def test_an_env_file_that_is_mounted_by_itself_is_known_by_its_inode(tmp_path: Path) -> None:
    """So a container that is made anew, with another directory around the mount, has the same environment."""
    env_file = checkout(tmp_path / "host")
    found = set()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".env").touch()
        _, inside = in_a_mount_namespace(env_file, tmp_path / name / ".env")
        found.add(inside)
    assert len(found) == 1
    assert found != {environment_id(tmp_path / "first" / ".env")}, "that is another file without the mount"


def in_a_mount_namespace(here: Path, there: Path) -> list[str]:
    command = ["unshare", "--mount", sys.executable, "-c", BOUND, str(here), str(there)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in ran.stderr and "not permitted" in ran.stderr:
        pytest.skip("this user may not mount")
    assert not ran.returncode, ran.stderr
    return ran.stdout.split()


def test_a_directory_that_is_not_there_has_no_identity(tmp_path: Path) -> None:
    """An empty identity is equal to none."""
    assert not environment_id(tmp_path / "nowhere" / ".env")


def test_another_machine_is_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines made from one image have the same inodes."""
    env_file = checkout(tmp_path / "app")
    known = environment_id(env_file)
    (tmp_path / "machine-id").write_text("feedfacefeedfacefeedfacefeedface\n")
    monkeypatch.setattr("drill.environment._MACHINE", (tmp_path / "machine-id",))
    assert environment_id(env_file) != known

"""A dry-run says what ``--apply`` would fail at on this machine, and writes nothing to find out."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drill import mounts
from drill.checks import permissions, preflight
from drill.checks.permissions import Needs, obstacles
from drill.verdict import Verdict
from tests.library.world import MIGRATING, make_drill

NOBODY = 65534
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root can make files of other users and become one")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that other users can reach."""
    with tempfile.TemporaryDirectory(prefix="drill-permissions-") as name:
        path = Path(name)
        path.chmod(0o777)
        yield path


@pytest.fixture
def needs(folder: Path) -> Needs:
    """Return what a drill needs, all of it in order."""
    for name in ("artifacts", "reports"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    (folder / ".env").write_text(MIGRATING)
    return Needs(folder / ".env", folder / "artifacts", folder / "reports", ["true"])


def as_nobody(needs: Needs) -> list[str]:
    """Return the obstacles that a user without any rights has."""
    obstacles(needs)  # loads what it needs: the interpreter's own files may be out of that user's reach
    context = get_context("fork")
    ours, theirs = context.Pipe()

    def look() -> None:
        if ROOT:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        theirs.send(obstacles(needs))

    child = context.Process(target=look)
    child.start()
    theirs.close()
    try:
        found: list[str] = ours.recv()
    finally:
        child.join()
        ours.close()
    return found


def names(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in [folder, *folder.rglob("*")]}


def test_where_all_is_in_order_there_is_no_obstacle_and_nothing_is_written(needs: Needs, folder: Path) -> None:
    before = names(folder)
    assert obstacles(needs) == []
    assert names(folder) == before


def test_directories_that_are_not_there_yet_can_be_made(needs: Needs, folder: Path) -> None:
    deep = Needs(needs.env_file, folder / "a" / "b", folder / "c", [])
    assert obstacles(deep) == []
    assert not (folder / "a").exists()


def test_a_directory_that_this_user_may_not_write_is_named(needs: Needs, folder: Path) -> None:
    for name in ("artifacts", "reports"):
        (folder / name).chmod(0o555)
        (found,) = as_nobody(needs)
        (folder / name).chmod(0o777)
        assert found == f"the {name} directory cannot be written by this user; give another with --{name}-dir"


def test_a_directory_that_is_a_file_is_named(needs: Needs, folder: Path) -> None:
    wrong = Needs(needs.env_file, folder / ".env" / "artifacts", needs.reports_dir, [])
    assert obstacles(wrong) == ["the artifacts directory cannot be made: .env is a file"]


@as_root
@pytest.mark.parametrize("name", [".env", ".env.bak"])
def test_the_sticky_bit_keeps_other_users_from_replacing_file_and_backup(needs: Needs, folder: Path, name: str) -> None:
    os.chown(needs.env_file, NOBODY, NOBODY)
    (folder / ".env.bak").touch()
    os.chown(folder / ".env.bak", NOBODY, NOBODY)
    folder.chmod(0o1777)
    assert as_nobody(needs) == []
    os.chown(folder / name, 0, 0)
    assert as_nobody(needs) == [
        f"{name} belongs to somebody else in a directory with the sticky bit: it cannot be replaced"
    ]
    assert obstacles(needs) == [], "root may"


@as_root
@pytest.mark.parametrize(("flag", "word"), [("i", "immutable"), ("a", "append-only")])
@pytest.mark.parametrize("name", [".env", ".env.bak", ""])
def test_an_attribute_that_keeps_a_file_from_being_replaced_is_named(
    needs: Needs, folder: Path, flag: str, word: str, name: str
) -> None:
    (folder / ".env.bak").touch()
    path = folder / name
    if shutil.which("chattr") is None or subprocess.run(["chattr", f"+{flag}", path], check=False).returncode:
        pytest.skip("this file system knows no such attribute, or this root may not set it")
    try:
        found = obstacles(needs)
    finally:
        subprocess.run(["chattr", f"-{flag}", path], check=True)
    assert any(word in text and "chattr" in text for text in found), found


@as_root
def test_a_file_that_is_a_mount_point_must_itself_be_writable(needs: Needs, monkeypatch: pytest.MonkeyPatch) -> None:
    needs.env_file.chmod(0o444)
    assert not any("mount point" in text for text in as_nobody(needs))
    monkeypatch.setattr(permissions, "is_mount_point", lambda path: path == needs.env_file)
    assert any("mount point" in text for text in as_nobody(needs))


def test_a_mount_point_is_told_from_a_plain_file(tmp_path: Path) -> None:
    assert mounts.is_mount_point(Path("/proc"))
    assert not mounts.is_mount_point(tmp_path)
    assert mounts._unescaped("/a\\040b\\134c") == "/a b\\c"


def script(path: Path, first: str, mode: int = 0o755) -> str:
    path.write_text(f"{first}\nexit 0\n")
    path.chmod(mode)
    return str(path)


def test_a_reload_command_that_cannot_be_run_is_named(needs: Needs, folder: Path) -> None:
    def seen(command: str) -> list[str]:
        return obstacles(Needs(needs.env_file, needs.artifacts_dir, needs.reports_dir, [command, "--secret=x"]))

    assert seen("no-such-command-anywhere") == [
        "reload command 'no-such-command-anywhere' is not there or not executable; check [service] reload_command"
    ]
    assert "not executable" in seen(script(folder / "plain", "#!/bin/sh", 0o644))[0]
    assert "needs /no/such/sh" in seen(script(folder / "lost", "#!/no/such/sh"))[0]
    assert "needs no-such-python" in seen(script(folder / "env", "#!/usr/bin/env no-such-python"))[0]
    for good in ("#!/bin/sh", "#! /bin/sh -e", "#!/usr/bin/env sh", "no shebang"):
        assert seen(script(folder / "good", good)) == []
    assert obstacles(Needs(needs.env_file, needs.artifacts_dir, needs.reports_dir, [])) == []


@pytest.mark.parametrize("name", ["env file", "artifacts", "reports"])
def test_too_little_space_is_said_with_what_is_needed(needs: Needs, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    places = {"env file": needs.env_file.parent, "artifacts": needs.artifacts_dir, "reports": needs.reports_dir}
    real = os.statvfs
    full: dict[str, Any] = {"f_bavail": 0, "f_frsize": 4096, "f_files": 10, "f_favail": 10, "f_flag": 0}

    def statvfs(path: Path) -> Any:
        return SimpleNamespace(**full) if path == places[name] else real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    (found,) = obstacles(needs)
    assert found == f"0 MiB are free for the {name}, {permissions.FREE_BYTES[name] >> 20} are needed; make room"
    full |= {"f_bavail": 1 << 30, "f_favail": 0}
    assert obstacles(needs) == [f"no inode is free for the {name}; remove files there"]
    full |= {"f_files": 0}
    assert obstacles(needs) == [], "a file system without inodes counts none"


@pytest.mark.parametrize("free", [-1, 0, permissions.MIB - 1])
def test_just_the_needed_space_is_enough_and_whole_mebibytes_are_said(
    needs: Needs, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    needed = permissions.FREE_BYTES["reports"]
    status = SimpleNamespace(f_bavail=needed + free, f_frsize=1, f_files=10, f_favail=1, f_flag=0)
    monkeypatch.setattr(os, "statvfs", lambda _path: status)
    found = list(permissions._space("reports", needs.reports_dir))
    assert found == (["7 MiB are free for the reports, 8 are needed; make room"] if free < 0 else [])


@pytest.mark.parametrize("longer", [0, 1])
def test_a_name_too_long_for_its_backup_is_said(folder: Path, longer: int) -> None:
    backup = len(".20260131T200000.123456Z-10.bak")
    path = folder / ("e" * (os.pathconf(folder, "PC_NAME_MAX") - backup + longer))
    path.touch()
    found = obstacles(Needs(path, folder, folder, []))
    assert ["too long" in text for text in found] == [True] * longer


@pytest.mark.parametrize(
    ("first", "missing"),
    [
        ("#!/no/such/sh -e", "/no/such/sh"),
        ("#!/usr/bin/env", ""),
        ("#!/usr/bin/env -S no-such-python", ""),
        ("#!/usr/bin/env no-such-python", "no-such-python"),
        ("#!/bin/sh no-such-python", ""),
        ("#!", ""),
        ("/no/such/sh", ""),
    ],
)
def test_the_interpreter_of_a_script_is_the_one_of_its_first_line(folder: Path, first: str, missing: str) -> None:
    assert permissions._missing_interpreter(Path(script(folder / "it", first))) == missing


@pytest.mark.parametrize(
    ("effective", "number", "has"),
    [
        ("0000000000000008", 3, True),
        ("0000000000000008", 2, False),
        ("0000000000000008", 4, False),
        ("0", 3, False),
        ("0000000000000010", 4, True),
        ("0000000000000100", 5, False),
    ],
)
def test_a_capability_is_a_bit_of_the_effective_set(
    monkeypatch: pytest.MonkeyPatch, effective: str, number: int, has: bool
) -> None:
    status = f"Name:\tx\nCapPrm:\tffff\nCapEff:\t{effective}\nCapBnd:\tffff\n"
    monkeypatch.setattr(Path, "read_text", lambda *_: status)
    assert permissions._has_capability(number) is has


@pytest.mark.parametrize(("user", "has"), [(0, True), (1000, False)])
@pytest.mark.parametrize("status", ["", "CapEff:", "CapEff:\tx"])
def test_where_capabilities_cannot_be_read_root_is_taken_to_have_them(
    monkeypatch: pytest.MonkeyPatch, status: str, user: int, has: bool
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: status)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert permissions._has_capability(3) is has


@pytest.mark.parametrize(
    ("owner", "of_folder", "kept"), [(1000, 0, False), (0, 1000, False), (0, 0, True), (2000, 2000, True)]
)
@pytest.mark.parametrize(("mode", "capable"), [(0o1777, False), (0o777, False), (0o1777, True)])
def test_the_sticky_bit_keeps_who_owns_neither_file_nor_folder_and_may_not_all_the_same(
    monkeypatch: pytest.MonkeyPatch, owner: int, of_folder: int, kept: bool, mode: int, capable: bool
) -> None:
    class Fake:
        def stat(self) -> Any:
            return SimpleNamespace(st_mode=mode, st_uid=of_folder)

        def lstat(self) -> Any:
            return SimpleNamespace(st_uid=owner)

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(permissions, "_has_capability", lambda number: capable and number == 3)
    fake: Any = Fake()
    assert permissions._is_sticky_for(fake, fake) is (kept and mode == 0o1777 and not capable)


MOUNTS = (
    "36 35 98:0 / /a\\040b rw - ext4 /dev/sda rw\n37 35 0:5 / /c rw master:1 - proc proc rw\nshort line\n1 2 3 4 /d 6\n"
)


@pytest.mark.parametrize(
    ("path", "mounted"), [("/a b", True), ("/c", True), ("/rw", False), ("/d", False), ("/", False)]
)
def test_mount_points_are_the_fifth_field(monkeypatch: pytest.MonkeyPatch, path: str, mounted: bool) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: MOUNTS)
    assert mounts.is_mount_point(Path(path)) is mounted


def test_a_dry_run_fails_at_the_env_file_when_apply_could_not_be_carried_out(tmp_path: Path) -> None:
    toml = '[service]\nreload_command = ["no-such-command-anywhere"]'
    evidence = preflight.env_file(make_drill(tmp_path, env=MIGRATING, toml=toml))
    assert evidence.verdict is Verdict.FAIL
    assert evidence.reason.startswith("--apply could not be carried out: reload command")
    assert "FF_RETRIEVAL_DUAL_WRITE" in evidence.detail, "the plan is shown all the same"


def test_with_apply_nothing_is_asked_that_would_hold_up_the_flags(tmp_path: Path) -> None:
    toml = '[service]\nreload_command = ["no-such-command-anywhere"]'
    assert preflight.env_file(make_drill(tmp_path, env=MIGRATING, toml=toml, apply=True)).verdict is Verdict.PASS


def test_a_report_directory_that_is_a_file_is_found_by_a_dry_run(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    evidence = preflight.env_file(make_drill(tmp_path, env=MIGRATING))
    assert evidence.verdict is Verdict.FAIL
    assert "the reports directory cannot be made: reports is a file" in evidence.reason


def test_events_that_could_not_be_written_are_found_by_a_dry_run(tmp_path: Path) -> None:
    drill = make_drill(tmp_path, env=MIGRATING)
    drill.events.degraded = "No space left on device"
    evidence = preflight.env_file(drill)
    assert evidence.verdict is Verdict.FAIL
    assert "the drill's events could not be written (No space left on device)" in evidence.reason


def test_a_dry_run_that_has_all_it_needs_says_that_it_looked(tmp_path: Path) -> None:
    evidence = preflight.env_file(make_drill(tmp_path, env=MIGRATING))
    assert evidence.verdict is Verdict.PASS
    assert evidence.detail["rights, space and reload command for --apply"] == "looked at"


def test_without_a_list_of_mount_points_a_file_is_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", denied)
    assert mounts.is_mount_point(Path("/proc")) is False


@pytest.mark.parametrize(
    ("flags", "seen"),
    [(0x00, ""), (0x01, ""), (0x10, "immutable"), (0x20, "append-only"), (0x30, "immutable and append-only")],
)
def test_the_attributes_are_two_bits_of_what_the_kernel_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: int, seen: str
) -> None:
    def get_flags(_fd: int, _request: int, buffer: bytearray) -> int:
        buffer[:4] = flags.to_bytes(4, sys.byteorder)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", get_flags)
    assert permissions._attributes(tmp_path) == seen


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EOPNOTSUPP])
def test_a_file_system_that_knows_no_attributes_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    def unknown(*_: object) -> int:
        raise OSError(number, "no attributes here")

    monkeypatch.setattr(fcntl, "ioctl", unknown)
    assert permissions._attributes(tmp_path) == ""


def test_attributes_that_cannot_be_read_for_a_sick_disk_are_no_absence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def sick(*_: object) -> int:
        raise OSError(errno.EIO, "sick")

    monkeypatch.setattr(fcntl, "ioctl", sick)
    with pytest.raises(OSError, match="sick"):
        permissions._attributes(tmp_path)

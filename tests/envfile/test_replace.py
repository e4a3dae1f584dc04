"""The write: what is kept, what is refused, what is left behind."""

import json
import os
import re
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drill.envfile import EnvFile, EnvWriteFailed
from drill.environment import environment_id
from drill.errors import EnvFileRefused, LockHeld

from .support import PLAIN, PLAIN_AFTER, FaultyOs, MemoryLog, beside

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def apply(path: Path, log: MemoryLog) -> None:
    with EnvFile.open(path, intents=log) as env_file:
        env_file.apply(env_file.plan())


def test_apply_writes_the_flags_and_keeps_a_backup(path: Path, log: MemoryLog) -> None:
    """All three flags in one replace; beside the file only the backup and the lock."""
    apply(path, log)
    assert path.read_bytes() == PLAIN_AFTER
    others = beside(path)
    assert others.pop(".env.staging.bak") == PLAIN
    holder = json.loads(others.pop(".env.staging.lock"))
    assert (holder["pid"], holder["env_id"]) == (os.getpid(), environment_id(path))
    assert others == {}


def test_the_order_is_the_designs(path: Path) -> None:
    """Lock, backup, intent, temp, write, attributes, fsync, rename, fsync of the directory, read back, done."""
    ops = FaultyOs()
    log = _OrderedLog(ops)
    with EnvFile.open(path, intents=log, ops=ops) as env_file:
        plan = env_file.plan()
        assert "flock" in ops.calls
        ops.calls.clear()
        env_file.apply(plan)
    steps = [call for call in ops.calls if call in {"pwrite", "fchmod", "fsync", "rename", "INTENT", "DONE"}]
    backup = ["pwrite", "fchmod", "fsync", "rename", "fsync"]
    assert steps == [*backup, "INTENT", "pwrite", "fchmod", "fsync", "rename", "fsync", "DONE"]
    after = ops.calls[len(ops.calls) - ops.calls[::-1].index("fsync") : ops.calls.index("DONE")]
    assert "read" in after


class _OrderedLog(MemoryLog):
    def __init__(self, ops: FaultyOs) -> None:
        super().__init__()
        self._ops = ops

    def _keep(self, kind: str, action: str, facts: dict[str, str | int]) -> None:
        self._ops.calls.append(kind.upper())


def test_the_records_hold_sizes_and_no_content(path: Path, log: MemoryLog) -> None:
    """Intent and done name the file and its sizes; no value and no digest of one."""
    inode = path.stat().st_ino
    apply(path, log)
    assert log.events == [
        (
            "intent",
            "env_file.replace",
            {
                "file": ".env.staging",
                "backup": ".env.staging.bak",
                "inode": inode,
                "old_size": len(PLAIN),
                "new_size": len(PLAIN_AFTER),
            },
        ),
        ("done", "env_file.replace", {"file": ".env.staging", "result": "written"}),
    ]


def test_nothing_to_change_writes_nothing(path: Path, log: MemoryLog) -> None:
    """Same inode, same time of change, no backup, no record."""
    path.write_bytes(PLAIN_AFTER)
    before = path.stat()
    apply(path, log)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert set(beside(path)) == {".env.staging.lock"}
    assert log.events == []


def test_the_backup_is_of_the_first_write_only(path: Path, log: MemoryLog) -> None:
    """A second write of the same drill leaves the backup as it is."""
    with EnvFile.open(path, intents=log) as env_file:
        env_file.apply(env_file.plan({"FF_RETRIEVAL_DUAL_WRITE": "OFF"}))
        env_file.apply(env_file.plan())
    assert path.read_bytes() == PLAIN_AFTER
    assert [data for name, data in beside(path).items() if name.endswith(".bak")] == [PLAIN]


def test_an_older_backup_is_kept_under_the_utc_time(path: Path, log: MemoryLog) -> None:
    """Three drills, three backups, none overwritten."""
    for round_ in range(3):
        path.write_bytes(PLAIN + b"ROUND=%d\n" % round_)
        apply(path, log)
    backups = {name: data for name, data in beside(path).items() if name.endswith(".bak")}
    assert backups[".env.staging.bak"].endswith(b"ROUND=2\n")
    assert {data[-2:-1] for data in backups.values()} == {b"0", b"1", b"2"}
    dated = [name for name in backups if name != ".env.staging.bak"]
    assert all(re.fullmatch(r"\.env\.staging\.\d{8}T\d{6}\.\d{6}Z\.bak", name) for name in dated)


def test_restore_is_the_identity(path: Path, log: MemoryLog) -> None:
    """Set, set again, restore: the bytes from before the drill, with owner and mode."""
    path.chmod(0o604)
    with EnvFile.open(path, intents=log) as env_file:
        env_file.apply(env_file.plan({"RETRIEVAL_BACKEND": "faiss"}))
        env_file.apply(env_file.plan())
        env_file.restore()
        env_file.restore()
    assert path.read_bytes() == PLAIN
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_restore_without_a_write_does_nothing(path: Path, log: MemoryLog) -> None:
    """Nothing written, nothing to put back."""
    with EnvFile.open(path, intents=log) as env_file:
        env_file.restore()
    assert log.events == []


def test_restore_does_not_undo_the_work_of_others(path: Path, log: MemoryLog) -> None:
    """A file that someone else has edited since is left alone."""
    with EnvFile.open(path, intents=log) as env_file:
        env_file.apply(env_file.plan())
        path.write_bytes(PLAIN_AFTER + b"NEW=1\n")
        with pytest.raises(EnvFileRefused, match="changed by someone else"):
            env_file.restore()
    assert path.read_bytes() == PLAIN_AFTER + b"NEW=1\n"


def test_a_file_changed_since_the_plan_is_refused(path: Path, log: MemoryLog) -> None:
    """The plan is for certain bytes; other bytes need another plan."""
    with EnvFile.open(path, intents=log) as env_file:
        plan = env_file.plan()
        path.write_bytes(PLAIN + b"B=2\n")
        with pytest.raises(EnvFileRefused, match="changed since it was planned"):
            env_file.apply(plan)
    assert path.read_bytes() == PLAIN + b"B=2\n"
    assert log.events == []


def test_a_file_changed_during_the_write_is_refused(path: Path, log: MemoryLog) -> None:
    """An editor that saves between our reading and our rename does not lose its work."""
    ops = FaultyOs()

    def edit_meanwhile(_number: int, name: str) -> None:
        if name == "rename" and path.read_bytes() == PLAIN:
            path.write_bytes(PLAIN + b"B=2\n")

    with EnvFile.open(path, intents=log, ops=ops) as env_file:
        plan = env_file.plan()
        ops.fault = edit_meanwhile
        with pytest.raises(EnvFileRefused, match="changed by someone else"):
            env_file.apply(plan)
    assert path.read_bytes() == PLAIN + b"B=2\n"
    assert log.events[-1][2]["result"] == "not_written"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_the_mode_is_kept(path: Path, log: MemoryLog, mode: int) -> None:
    """File and backup have the mode the file had, whatever the umask."""
    path.chmod(mode)
    before = os.umask(0o077)
    try:
        apply(path, log)
    finally:
        os.umask(before)
    for name in (".env.staging", ".env.staging.bak"):
        assert stat.S_IMODE(path.with_name(name).stat().st_mode) == mode


@ROOT_ONLY
def test_the_owner_is_kept(path: Path, log: MemoryLog) -> None:
    """File and backup belong to whom the file belonged to."""
    os.chown(path, 12345, 23456)
    apply(path, log)
    for name in (".env.staging", ".env.staging.bak"):
        status = path.with_name(name).stat()
        assert (status.st_uid, status.st_gid) == (12345, 23456)


@ROOT_ONLY
def test_an_owner_that_cannot_be_kept_stops_the_write(path: Path, log: MemoryLog) -> None:
    """Without the right to give files away nothing is written."""
    os.chown(path, 12345, 23456)

    def deny(_number: int, name: str) -> None:
        if name == "fchown":
            raise PermissionError(1, "Operation not permitted")

    with EnvFile.open(path, intents=log, ops=FaultyOs(deny)) as env_file, pytest.raises(EnvWriteFailed) as caught:
        env_file.apply(env_file.plan())
    assert not caught.value.changed
    assert path.read_bytes() == PLAIN
    assert set(beside(path)) == {".env.staging.lock"}


def test_a_foreign_owner_is_refused_before_anything(
    path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who is not root cannot keep another user's ownership."""
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(EnvFileRefused, match="cannot keep"):
        EnvFile.open(path, intents=log)


def test_extended_attributes_are_kept(path: Path, log: MemoryLog) -> None:
    """They are part of the file, on the file and on its backup."""
    _setxattr(path, "user.note", b"keep me")
    apply(path, log)
    assert os.getxattr(path, "user.note") == b"keep me"
    assert os.getxattr(path.with_name(".env.staging.bak"), "user.note") == b"keep me"


def test_a_default_acl_of_the_directory_does_not_widen_access(path: Path, log: MemoryLog) -> None:
    """The new file has the access the old one had, not what new files in this directory get."""
    everybody_reads = _acl((1, 6, -1), (2, 6, 1234), (4, 6, -1), (16, 6, -1), (32, 4, -1))
    _setxattr(path.parent, "system.posix_acl_default", everybody_reads)
    apply(path, log)
    for name in (".env.staging", ".env.staging.bak"):
        assert "system.posix_acl_access" not in os.listxattr(path.with_name(name))
        assert stat.S_IMODE(path.with_name(name).stat().st_mode) == 0o640


def test_an_acl_is_kept(path: Path, log: MemoryLog) -> None:
    """Who was let in by name still is."""
    acl = _acl((1, 6, -1), (2, 4, 1234), (4, 0, -1), (16, 4, -1), (32, 0, -1))
    _setxattr(path, "system.posix_acl_access", acl)
    apply(path, log)
    for name in (".env.staging", ".env.staging.bak"):
        assert os.getxattr(path.with_name(name), "system.posix_acl_access") == acl


def _acl(*entries: tuple[int, int, int]) -> bytes:
    """Return a POSIX ACL as the kernel stores it: version 2, then tag, permissions, id."""
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, bits, who & 0xFFFFFFFF) for tag, bits, who in entries
    )


def _setxattr(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"no {name} on this file system: {error.strerror}")


def _symlink(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def _hard_link(path: Path) -> None:
    path.with_name("other").hardlink_to(path)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


KINDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "symlink": (_symlink, "is a symlink"),
    "dangling symlink": (_dangling, "is a symlink"),
    "hard link": (_hard_link, "has 2 hard links"),
    "fifo": (_fifo, "not a regular file"),
    "directory": (_directory, "not a regular file"),
    "missing": (Path.unlink, "does not exist"),
}


@pytest.mark.parametrize(("make", "message"), KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_not_one_plain_file_is_refused(
    path: Path, log: MemoryLog, make: Callable[[Path], None], message: str, read_only: bool
) -> None:
    """One line that says what was seen; no lock file is left for a file that is none."""
    make(path)
    with pytest.raises(EnvFileRefused, match=message) as caught:
        EnvFile.open(path, intents=log, read_only=read_only)
    assert "\n" not in str(caught.value)
    assert str(path.parent) not in str(caught.value)
    assert not path.with_name(".env.staging.lock").exists()


def test_an_unreadable_file_is_refused(path: Path, log: MemoryLog) -> None:
    """The system's reason is told, without the path."""

    def deny(_number: int, name: str) -> None:
        if name == "read":
            raise PermissionError(13, "Permission denied")

    with EnvFile.open(path, intents=log, ops=FaultyOs(deny)) as env_file, pytest.raises(EnvFileRefused, match="EACCES"):
        env_file.plan()


def test_a_broken_file_is_refused_without_its_content(path: Path, log: MemoryLog) -> None:
    """The refusal names the line, not what stands in it."""
    path.write_bytes(b'SECRET="hunter2\n' + PLAIN)
    with EnvFile.open(path, intents=log) as env_file, pytest.raises(EnvFileRefused, match="line 1") as caught:
        env_file.plan()
    assert "hunter2" not in str(caught.value)
    assert set(beside(path)) == {".env.staging.lock"}


def test_text_that_is_none_is_refused_without_its_content(path: Path, log: MemoryLog) -> None:
    """Values of a file that is not UTF-8 cannot be read; the error does not carry the bytes along."""
    path.write_bytes(b"SECRET=hunter2\xff\n")
    with EnvFile.open(path, intents=log) as env_file, pytest.raises(EnvFileRefused, match="not UTF-8") as caught:
        env_file.values()
    assert caught.value.__suppress_context__
    assert "hunter2" not in str(caught.value)


def test_values_are_interpolated_from_the_file_alone(
    path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drill's own environment is not the service's."""
    monkeypatch.setenv("BASE", "from-the-drill")
    path.write_bytes(b"A=${BASE:-none}\nBASE=x\nB=${BASE}/y\nBASE=z\nC='${A}'\nBARE\n")
    with EnvFile.open(path, intents=log) as env_file:
        assert env_file.values() == {"A": "none", "BASE": "z", "B": "x/y", "C": "none", "BARE": None}


HOLDER = """
import sys
from pathlib import Path
from drill.envfile import EnvFile
class Log:
    def intent(self, action, **facts): pass
    def done(self, action, **facts): pass
env_file = EnvFile.open(Path(sys.argv[1]), intents=Log())
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_held_by_another_process_is_named(path: Path, log: MemoryLog) -> None:
    """The message tells which process has it; when that process is killed, the lock is free."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for read_only in (False, True):
            with pytest.raises(LockHeld, match=rf"process {holder.pid} since \d{{4}}-"):
                EnvFile.open(path, intents=log, read_only=read_only)
        holder.kill()
    apply(path, log)
    assert path.read_bytes() == PLAIN_AFTER


def test_the_lock_is_free_after_close(path: Path, log: MemoryLog) -> None:
    """Closing twice is harmless; a second opening while open is refused."""
    env_file = EnvFile.open(path, intents=log)
    with pytest.raises(LockHeld):
        EnvFile.open(path, intents=log)
    env_file.close()
    env_file.close()
    EnvFile.open(path, intents=log).close()


def test_a_nonsense_lock_file_does_not_break_the_message(path: Path, log: MemoryLog) -> None:
    """What stands in the lock file is only for the message, and is not trusted."""
    with EnvFile.open(path, intents=log):
        path.with_name(".env.staging.lock").write_bytes(b'{"pid": "\x1b[31m", "since": 3}')
        with pytest.raises(LockHeld, match="held by another process"):
            EnvFile.open(path, intents=log)


def test_leftover_temp_files_are_swept_and_only_ours(path: Path, log: MemoryLog) -> None:
    """A killed drill's temp file goes; files that only look like one stay."""
    ours = path.with_name(".env.staging.0123456789abcdef.drill-tmp")
    others = [
        path.with_name(name)
        for name in (".env.staging.tmp", ".env.prod.0123456789abcdef.drill-tmp", ".env.staging.x.drill-tmp")
    ]
    for file in (ours, *others):
        file.write_bytes(b"x")
    EnvFile.open(path, intents=log, read_only=True).close()
    assert ours.exists()
    EnvFile.open(path, intents=log).close()
    assert not ours.exists()
    assert all(file.exists() for file in others)


def test_a_dry_run_goes_on_where_no_lock_can_be_made(path: Path, log: MemoryLog) -> None:
    """It plans, and says in one line what --apply would be refused for."""

    def deny(_number: int, name: str) -> None:
        if name == "open" and ops.calls.count("open") == 1:
            raise OSError(30, "Read-only file system")

    ops = FaultyOs(deny)
    with EnvFile.open(path, intents=log, read_only=True, ops=ops) as env_file:
        assert "cannot be locked (EROFS" in env_file.writable_problem
        assert env_file.plan().new_bytes == PLAIN_AFTER
        with pytest.raises(EnvFileRefused, match="opened to be read only"):
            env_file.apply(env_file.plan())
    ops.calls.clear()
    with pytest.raises(EnvFileRefused, match="cannot be locked"):
        EnvFile.open(path, intents=log, ops=ops)
    assert beside(path) == {}


def test_a_dry_run_finds_no_problem_where_there_is_none(path: Path, log: MemoryLog) -> None:
    """And writes nothing but the lock."""
    before = path.stat()
    with EnvFile.open(path, intents=log, read_only=True) as env_file:
        assert env_file.writable_problem == ""
        env_file.plan()
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert set(beside(path)) == {".env.staging.lock"}


def test_a_relative_path_survives_a_change_of_directory(
    path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The file is the one that was meant when it was opened."""
    monkeypatch.chdir(path.parent)
    with EnvFile.open(Path(path.name), intents=log) as env_file:
        monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
        env_file.apply(env_file.plan())
    assert path.read_bytes() == PLAIN_AFTER

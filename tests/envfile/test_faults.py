"""Every call of the replace fails once: the file is old or new, the backup whole, the next start clean."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drill.envfile import EnvFile, EnvWriteFailed
from drill.envfile.files import record_path
from drill.envfile.inplace import Record
from drill.errors import DrillError, EnvFileRefused

from .support import PLAIN, PLAIN_AFTER, FaultyOs, MemoryLog, MountedOs, beside

SYSTEMS = pytest.mark.parametrize("system", [FaultyOs, MountedOs], ids=["rename", "mounted"])


class Killed(BaseException):
    """Stands for ``kill -9``: no ``except Exception`` sees it, and no call gets through afterwards."""


def open_and_apply(path: Path, log: MemoryLog, ops: FaultyOs) -> None:
    with EnvFile.open(path, intents=log, ops=ops) as env_file:
        env_file.apply(env_file.plan())


def case(tmp_path: Path, name: object) -> Path:
    """Return an env file with an older backup, in a directory of its own."""
    path = tmp_path / str(name) / ".env.staging"
    path.parent.mkdir()
    path.write_bytes(PLAIN)
    path.with_name(".env.staging.bak").write_bytes(b"older")
    return path


def calls_of_an_undisturbed_run(tmp_path: Path, ops: FaultyOs) -> int:
    path = case(tmp_path, "undisturbed")
    open_and_apply(path, MemoryLog(), ops)
    assert path.read_bytes() == PLAIN_AFTER
    return len(ops.calls)


def assert_whole(path: Path) -> None:
    """Old or new; the older backup is there under one of its names, and no backup is half a one."""
    assert path.read_bytes() in {PLAIN, PLAIN_AFTER}
    assert_backups_whole(path)


def assert_backups_whole(path: Path) -> None:
    backups = {data for name, data in beside(path).items() if name.endswith(".bak")}
    assert b"older" in backups
    assert backups <= {b"older", PLAIN}
    if path.read_bytes() != PLAIN:
        assert PLAIN in backups


def assert_next_drill_is_clean(path: Path) -> None:
    """The next drill finishes the job and leaves nothing of ours lying about."""
    open_and_apply(path, MemoryLog(), FaultyOs())
    assert path.read_bytes() == PLAIN_AFTER
    assert [name for name in beside(path) if "drill-" in name] == []


def failure_of(path: Path, ops: FaultyOs) -> Exception | None:
    try:
        open_and_apply(path, MemoryLog(), ops)
    except (DrillError, OSError) as error:
        return error
    return None


@SYSTEMS
@pytest.mark.parametrize(
    "code", [errno.EIO, errno.ENOSPC, errno.EACCES, errno.EBUSY, errno.EROFS], ids=errno.errorcode.get
)
def test_an_error_at_any_call_leaves_old_or_new(tmp_path: Path, system: type[FaultyOs], code: int) -> None:
    """Each call of the run fails in turn; what is on disk is whole, and the error says which of the two it is."""
    silent = set()
    for number in range(1, calls_of_an_undisturbed_run(tmp_path, system()) + 1):

        def fault(count: int, _name: str, number: int = number) -> None:
            if count == number:
                raise OSError(code, os.strerror(code))

        path, ops = case(tmp_path, number), system(fault)
        seen = failure_of(path, ops)
        if isinstance(seen, EnvWriteFailed):
            assert seen.changed == (path.read_bytes() == PLAIN_AFTER), ops.calls
            assert "\n" not in str(seen)
        elif isinstance(seen, DrillError):
            assert path.read_bytes() == PLAIN
        else:
            silent.add(ops.calls[number - 1])
        assert len(ops.calls) >= number, "the point did not fire"
        ops.end_process()
        assert_whole(path)
        assert_next_drill_is_clean(path)
    # Only the release of the lock may fail without a word that the drill itself raises, and a temp file that stays.
    # After the write the new file is found and locked, as far as that can be: both locks are asked before the next one.
    # A rename that says EBUSY is made up for by a write in place.
    made_up_for = {"rename"} if code == errno.EBUSY else set()
    assert silent <= {"close", "unlink", "open", "flock", "lstat", "fstat"} | made_up_for


@SYSTEMS
def test_a_kill_at_any_call_leaves_old_or_new_after_the_next_start(tmp_path: Path, system: type[FaultyOs]) -> None:
    """From the fatal call on nothing is done any more, not even cleaning up."""
    for number in range(1, calls_of_an_undisturbed_run(tmp_path, system()) + 1):

        def fault(count: int, _name: str, number: int = number) -> None:
            if count >= number:
                raise Killed

        path, ops = case(tmp_path, number), system(fault)
        with pytest.raises(Killed):
            open_and_apply(path, MemoryLog(), ops)
        ops.end_process()
        if system is FaultyOs:
            assert_whole(path)
        EnvFile.open(path, intents=MemoryLog()).close()
        assert_whole(path)
        assert_next_drill_is_clean(path)


def test_a_full_disk_for_the_records_stops_the_write(tmp_path: Path) -> None:
    """Without a durable intent nothing is touched."""
    path, log = case(tmp_path, "x"), MemoryLog()
    log.fails = True
    with pytest.raises(EnvWriteFailed, match="no record of the intent") as caught:
        open_and_apply(path, log, FaultyOs())
    assert not caught.value.changed
    assert path.read_bytes() == PLAIN


def test_a_second_try_makes_the_backup_that_the_first_could_not(tmp_path: Path) -> None:
    """No write without a backup, also when a step is tried again."""
    path, ops = case(tmp_path, "x"), FaultyOs()

    def full(_number: int, name: str) -> None:
        if name == "pwrite":
            raise OSError(errno.ENOSPC, "full")

    with EnvFile.open(path, intents=MemoryLog(), ops=ops) as env_file:
        plan = env_file.plan()
        ops.fault = full
        with pytest.raises(EnvWriteFailed, match="no backup"):
            env_file.apply(plan)
        assert path.with_name(".env.staging.bak").read_bytes() == b"older"
        ops.fault = lambda _number, _name: None
        env_file.apply(plan)
    assert path.with_name(".env.staging.bak").read_bytes() == PLAIN


def test_short_writes_are_carried_on(tmp_path: Path) -> None:
    """A system that takes a byte at a time still gets the whole file."""

    class Slow(FaultyOs):
        def pwrite(self, fd: int, data: bytes, offset: int) -> int:
            return super().pwrite(fd, data[:1], offset)

    path = case(tmp_path, "x")
    open_and_apply(path, MemoryLog(), Slow())
    assert path.read_bytes() == PLAIN_AFTER


def test_a_file_that_does_not_read_back_is_an_error(tmp_path: Path) -> None:
    """A disk that lies is found out, and the step does not count as done."""

    class Lying(FaultyOs):
        def rename(self, source: Path, target: Path) -> None:
            super().rename(source, target)
            if target.name == ".env.staging":
                target.write_bytes(b"A=2\n")

    path, log = case(tmp_path, "x"), MemoryLog()
    with pytest.raises(EnvWriteFailed, match="does not read back") as caught:
        open_and_apply(path, log, Lying())
    assert caught.value.changed
    assert log.events[-1][2]["result"] == "unknown"


def test_a_mounted_file_is_written_in_place(tmp_path: Path) -> None:
    """Same inode, new bytes, nothing left beside it but backups and lock."""
    path = case(tmp_path, "x")
    inode = path.stat().st_ino
    open_and_apply(path, MemoryLog(), MountedOs())
    assert path.read_bytes() == PLAIN_AFTER
    assert path.stat().st_ino == inode
    assert [name for name in beside(path) if "drill-" in name] == []


def test_a_mounted_file_is_restored_in_place(tmp_path: Path) -> None:
    """Restore takes the same way."""
    path = case(tmp_path, "x")
    with EnvFile.open(path, intents=MemoryLog(), ops=MountedOs()) as env_file:
        env_file.apply(env_file.plan())
        env_file.restore()
    assert path.read_bytes() == PLAIN


@pytest.mark.parametrize("cut", range(len(PLAIN)))
def test_a_torn_file_goes_back_to_its_old_bytes(tmp_path: Path, cut: int) -> None:
    """However far an in-place write came, the next start with the right to write puts the old bytes back."""
    path = case(tmp_path, "x")
    record_path(path).write_bytes(Record(PLAIN, PLAIN_AFTER).encoded())
    torn = PLAIN_AFTER[:cut] + PLAIN[cut:]
    path.write_bytes(torn)
    if torn != PLAIN:
        with pytest.raises(EnvFileRefused, match="torn"):
            EnvFile.open(path, intents=MemoryLog(), read_only=True)
    assert path.read_bytes() == torn
    log = MemoryLog()
    EnvFile.open(path, intents=log).close()
    assert path.read_bytes() == PLAIN
    assert not record_path(path).exists()
    assert [event[1] for event in log.events] == (["env_file.recover"] if torn != PLAIN else [])


def test_a_finished_write_in_place_is_left_finished(tmp_path: Path) -> None:
    """A kill between the last byte and the removal of the record costs nothing."""
    path = case(tmp_path, "x")
    record_path(path).write_bytes(Record(PLAIN, PLAIN_AFTER).encoded())
    path.write_bytes(PLAIN_AFTER)
    EnvFile.open(path, intents=MemoryLog()).close()
    assert path.read_bytes() == PLAIN_AFTER
    assert not record_path(path).exists()


@pytest.mark.parametrize(
    "record", [Record(PLAIN, PLAIN_AFTER).encoded(), b"", b"{}\n", b"[1]\n", b'{"old": 9, "new": 9}\nx']
)
def test_a_file_edited_since_is_not_overwritten_by_recovery(tmp_path: Path, record: bytes) -> None:
    """Neither old nor new nor torn between them, or a damaged record: a person must look."""
    path = case(tmp_path, "x")
    record_path(path).write_bytes(record)
    path.write_bytes(b"EDITED=by hand\n" + PLAIN)
    with pytest.raises(EnvFileRefused, match="drill-inplace"):
        EnvFile.open(path, intents=MemoryLog())
    assert path.read_bytes() == b"EDITED=by hand\n" + PLAIN
    assert record_path(path).exists()


def truncate_and_write(path: Path, ops: FaultyOs) -> None:
    """Write as ``open(path, "w")`` does."""
    fd = ops.open(path, os.O_WRONLY | os.O_TRUNC)
    ops.pwrite(fd, PLAIN_AFTER, 0)
    ops.close(fd)


def remove_and_rename(path: Path, ops: FaultyOs) -> None:
    """Make room first, which leaves a moment without any file."""
    temp = path.with_name("temp")
    fd = ops.open(temp, os.O_WRONLY | os.O_CREAT)
    ops.pwrite(fd, PLAIN_AFTER, 0)
    ops.close(fd)
    ops.unlink(path)
    ops.rename(temp, path)


@pytest.mark.parametrize("naive", [truncate_and_write, remove_and_rename])
def test_naive_writers_are_caught_by_the_same_harness(tmp_path: Path, naive: Callable[[Path, FaultyOs], None]) -> None:
    """The sweep is able to fail: it finds the moment at which these leave neither old nor new."""
    torn = 0
    for number in range(1, 7):

        def fault(count: int, _name: str, number: int = number) -> None:
            if count >= number:
                raise Killed

        path, ops = case(tmp_path, number), FaultyOs(fault)
        path.with_name(".env.staging.1.bak").write_bytes(PLAIN)
        with suppress(Killed):
            naive(path, ops)
        ops.end_process()
        try:
            assert_whole(path)
        except (AssertionError, FileNotFoundError):
            torn += 1
    assert torn == 1

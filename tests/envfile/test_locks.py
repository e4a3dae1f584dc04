"""Two drills never write one env file, whatever becomes of the lock file and by whatever name it is opened."""

from pathlib import Path

import pytest

from drill.envfile import EnvFile
from drill.envfile.lock import lock_path
from drill.errors import EnvFileRefused, LockHeld

from .support import PLAIN, PLAIN_AFTER, MemoryLog


def test_a_second_drill_is_kept_out_though_the_lock_file_was_removed(path: Path, log: MemoryLog) -> None:
    """Before the first one's write and after it: the file that stands there is locked itself."""
    with EnvFile.open(path, intents=log) as first:
        plan = first.plan()
        for _ in range(2):
            lock_path(path).unlink()
            for read_only in (True, False):
                with pytest.raises(LockHeld, match="lock file that was removed"):
                    EnvFile.open(path, intents=log, read_only=read_only)
            with pytest.raises(EnvFileRefused, match="removed or replaced"):
                first.apply(plan)
    assert path.read_bytes() == PLAIN
    EnvFile.open(path, intents=log).close()


def test_what_was_written_is_locked_too(path: Path, log: MemoryLog) -> None:
    """A replace puts another file at the path; the first drill does not restore beside a lock file that is gone."""
    with EnvFile.open(path, intents=log) as first:
        first.apply(first.plan())
        lock_path(path).unlink()
        with pytest.raises(LockHeld):
            EnvFile.open(path, intents=log)
        with pytest.raises(EnvFileRefused, match="removed or replaced"):
            first.restore()
    assert path.read_bytes() == PLAIN_AFTER


def test_another_name_of_the_directory_is_the_same_file(path: Path, log: MemoryLog) -> None:
    """A link to the directory leads to the same lock file; without it, to the same locked env file."""
    other = path.parent.with_name("other")
    other.symlink_to(path.parent)
    with EnvFile.open(path, intents=log):
        with pytest.raises(LockHeld):
            EnvFile.open(other / path.name, intents=log)
        lock_path(path).unlink()
        with pytest.raises(LockHeld):
            EnvFile.open(other / path.name, intents=log)

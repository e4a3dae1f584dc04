"""The backup beside the env file: its bytes before this drill's first write. Never overwrites an older one."""

from datetime import UTC, datetime
from pathlib import Path

from drill.envfile.files import Snapshot, create_like, discard, temp_path
from drill.envfile.osops import OsLayer, exists, fsync_directory


def backup_path(path: Path) -> Path:
    """Return the place of the backup of the env file ``path``."""
    return path.with_name(f"{path.name}.bak")


def make_backup(ops: OsLayer, path: Path, original: Snapshot) -> None:
    """Put ``original`` beside the env file, durable, after moving an older backup to a name with the UTC time."""
    target = backup_path(path)
    temp = temp_path(path)
    create_like(ops, temp, original.data, original)
    try:
        if exists(ops, target):
            ops.rename(target, _dated(ops, path))
        ops.rename(temp, target)
    except BaseException:
        discard(ops, temp)
        raise
    fsync_directory(ops, path.parent)


def _dated(ops: OsLayer, path: Path) -> Path:
    """Return a free name ``<env-file>.<UTC time>.bak``; under the lock no other drill takes it meanwhile."""
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    candidate = path.with_name(f"{path.name}.{stamp}.bak")
    count = 1
    while exists(ops, candidate):
        count += 1
        candidate = path.with_name(f"{path.name}.{stamp}-{count}.bak")
    return candidate

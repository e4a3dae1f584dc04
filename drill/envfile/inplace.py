"""Writing in place, for the one case where a rename cannot work: the file is a mount point (``EBUSY``).

Such a write can be torn, so both contents are first put, durable, into a record beside the file. The next start finds
the record and takes a torn file back to its old bytes: the drill that wanted the new ones did not finish.
"""

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from drill.envfile.edit import MAX_BYTES
from drill.envfile.files import Snapshot, create_like, discard, record_path, snapshot, temp_path
from drill.envfile.osops import READ_FLAGS, OsLayer, fsync_directory, read_all, said, write_all
from drill.errors import EnvFileRefused
from drill.foreign import count, decode_object
from drill.signals import held_back
from drill.whose import objection


@dataclass(frozen=True, slots=True)
class Record:
    """Old and new content of an in-place write."""

    old: bytes = field(repr=False)
    new: bytes = field(repr=False)

    def encoded(self) -> bytes:
        """Return the record as a line of JSON with both sizes, followed by both contents."""
        return json.dumps({"old": len(self.old), "new": len(self.new)}).encode() + b"\n" + self.old + self.new

    @classmethod
    def decoded(cls, data: bytes) -> "Record":
        """Return the record; raise ``ValueError`` if it is not whole."""
        head, _, body = data.partition(b"\n")
        sizes = decode_object(head)
        old, new = count(sizes.get("old")), count(sizes.get("new"))
        if len(body) != old + new:
            raise ValueError("cut short")
        return cls(body[:old], body[old:])

    def could_be_torn(self, data: bytes) -> bool:
        """Whether ``data`` can be what a write from old to new leaves when cut off, blocks in any order."""
        if not min(len(self.old), len(self.new)) <= len(data) <= max(len(self.old), len(self.new)):
            return False
        sources = (self.old, self.new)
        return all(
            byte == 0 or any(place < len(source) and source[place] == byte for source in sources)
            for place, byte in enumerate(data)
        )


def write_in_place(ops: OsLayer, path: Path, model: Snapshot, new: bytes) -> None:
    """Write ``new`` over the env file; on failure put the old bytes back, and if that fails leave the record."""
    record = record_path(path)
    temp = temp_path(path)
    create_like(ops, temp, Record(model.data, new).encoded(), model)
    try:
        ops.rename(temp, record)
    except BaseException:
        discard(ops, temp)
        raise
    with held_back():
        try:
            fsync_directory(ops, path.parent)
            _overwrite(ops, path, new)
        except OSError:
            _overwrite(ops, path, model.data)
            discard(ops, record)
            raise
        ops.unlink(record)
        fsync_directory(ops, path.parent)


def recover(ops: OsLayer, path: Path, *, read_only: bool) -> bool:
    """Finish what an in-place write left behind; return whether bytes were put back. There must be a record."""
    place = record_path(path)
    record = _load(ops, place, path.name)
    data = snapshot(ops, path).data
    torn = data not in {record.old, record.new}
    if torn and not record.could_be_torn(data):
        raise EnvFileRefused(
            f"{path.name} was changed after an interrupted write; expected its old or new bytes; "
            f"make sure it is whole, then remove {place.name}"
        )
    if read_only:
        if torn:
            raise EnvFileRefused(f"{path.name} is torn by an interrupted write; a run with --apply puts it back")
        return False
    if torn:
        with held_back():
            _overwrite(ops, path, record.old)
    ops.unlink(place)
    fsync_directory(ops, path.parent)
    return torn


def _load(ops: OsLayer, place: Path, name: str) -> Record:
    try:
        fd = ops.open(place, READ_FLAGS)
    except OSError as error:
        raise EnvFileRefused(f"{place.name} cannot be read ({said(error)}); look at it, then remove it") from None
    try:
        _check_whose(ops.fstat(fd), place, ops.lstat(place.with_name(name)).st_uid)
        return Record.decoded(read_all(ops, fd, 3 * MAX_BYTES))
    except (ValueError, KeyError, TypeError):
        raise EnvFileRefused(f"{place.name} is damaged; make sure {name} is whole, then remove it") from None
    finally:
        ops.close(fd)


def _check_whose(status: os.stat_result, place: Path, owner: int) -> None:
    """Refuse a record that others could have written: obeying it would put their bytes into the env file.

    A drill gives it the ``owner`` that the env file has.
    """
    if not stat.S_ISREG(status.st_mode):
        raise EnvFileRefused(f"{place.name} is not a regular file; look at it, then remove it")
    if (found := objection(place, status, service=status.st_uid == owner)) is not None:
        raise EnvFileRefused(f"{place.name} is not obeyed: {found}, or remove it")


def _overwrite(ops: OsLayer, path: Path, data: bytes) -> None:
    fd = ops.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        write_all(ops, fd, data)
        ops.ftruncate(fd, len(data))
        ops.fsync(fd)
    finally:
        ops.close(fd)

"""What a rehearsal runs on: the would-be env file and a copy of the FAISS data, where only this user can read them.

The file holds the service's secrets, so it lies in a directory of mode 0700 outside ``artifacts``, and is removed at
the end; what a killed drill has left is removed by the next one.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from drill.errors import CannotMeasure

PREFIX = "rollback-rehearsal-"
NOBODY = "127.0.0.1:1"
"""Where nothing listens: the target's address in a rehearsal."""
Fingerprint = dict[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Scene:
    """The files of one rehearsal."""

    env_file: Path
    faiss_dir: Path | None
    """The copy of the FAISS data; ``None``: the env file does not say where the data is."""
    target_cut: bool
    """Whether the target's address was replaced; it cannot be where the env file holds no URL of it."""


@contextmanager
def private_scene(env: bytes, values: Mapping[str, str | None], keys: "Overridden") -> Iterator[Scene]:
    """Write the would-be env file ``env`` with the target out of reach and the FAISS data replaced by a copy.

    Raises `CannotMeasure` if the data is not there, or too large to be copied.
    """
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        copy = _copy(values.get(keys.primary), folder, keys)
        changed = {keys.primary: str(copy)} if copy else {}
        if dead := unreachable(values.get(keys.target) or ""):
            changed[keys.target] = dead
        path = folder / "service.env"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(env + b"".join(b"\n" + _statement(key, value) for key, value in changed.items()) + b"\n")
        yield Scene(path, copy, bool(dead))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Overridden:
    """The keys of the env file that a rehearsal sets to something else than the service will have."""

    primary: str
    target: str
    relative_to: Path
    """What a relative path in the env file is relative to."""
    max_bytes: int


def unreachable(url: str) -> str:
    """Return the URL of a target with its address replaced by one where nothing listens; empty for any other text."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return ""
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{NOBODY}", query=""))


def fingerprint(folder: Path) -> Fingerprint:
    """Return inode, size and time of change of every file below ``folder``."""
    found = {path: path.stat() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {str(path.relative_to(folder)): (at.st_ino, at.st_size, at.st_mtime_ns) for path, at in found.items()}


def _copy(data: str | None, folder: Path, keys: Overridden) -> Path | None:
    if not data:
        return None
    source = keys.relative_to / data
    if not source.is_dir():
        raise CannotMeasure(f"{keys.primary} of the env file names no directory; expected the FAISS data")
    size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    if size > keys.max_bytes:
        raise CannotMeasure(
            f"the FAISS data has {size >> 20} MiB, [rehearsal] max_copy_mib is {keys.max_bytes >> 20}: not rehearsed"
        )
    copy = folder / "faiss"
    try:
        shutil.copytree(source, copy)
    except (OSError, shutil.Error):
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(source, copy)  # a snapshot was replaced while it was copied
        except (OSError, shutil.Error) as error:
            raise CannotMeasure(f"the FAISS data cannot be copied ({type(error).__name__}): not rehearsed") from None
    return copy


def _statement(key: str, value: str) -> bytes:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{quoted}'".encode()


def _sweep() -> None:
    """Remove what rehearsals of killed drills have left: their process is gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            if owner.isdigit() and path.stat().st_uid == os.geteuid() and not Path(f"/proc/{owner}").exists():
                shutil.rmtree(path, ignore_errors=True)

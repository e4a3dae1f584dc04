"""A file system on a loop device whose power can be cut: what was not made durable is gone after the next mount."""

import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

SHUTDOWN = 0x8004587D
"""``EXT4_IOC_SHUTDOWN``, the same number as ``XFS_IOC_GOINGDOWN``: the file system stops where it stands."""
WITH_LOG, WITHOUT_LOG = 1, 2
"""Whether the journal of the file system, as far as it is in memory, still reaches the disk."""
SIZES = {"ext4": "64M", "xfs": "320M"}
CALLS = ("open", "write", "pwrite", "ftruncate", "fsync", "fchown", "fchmod", "setxattr", "rename", "unlink", "mkdir")
"""The functions of ``os`` before which the power can go; reading changes nothing."""


def power_problem(kind: str) -> str:
    """Return why no power can be cut here, empty if it can."""
    if os.geteuid() != 0:
        return "only root may make and mount a file system"
    try:
        with tempfile.TemporaryDirectory() as folder, disk(Path(folder), kind) as place:
            place.cut(WITHOUT_LOG)
            place.power_on()
    except (OSError, subprocess.SubprocessError) as error:
        return f"no {kind} on a loop device here ({str(error)[:100]})"
    return ""


@dataclass(frozen=True)
class Disk:
    """A mounted image."""

    image: Path
    mount: Path

    def settle(self) -> None:
        """Make all that is there durable."""
        _run("sync", "-f", str(self.mount))

    def cut(self, way: int) -> None:
        """Take the power away: from here on every write fails, and nothing in memory reaches the disk any more."""
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", way))
        finally:
            os.close(fd)

    def power_on(self) -> None:
        """Mount the image anew, as after a restart: the file system replays its journal."""
        _run("umount", str(self.mount))
        _run("mount", "-o", "loop", str(self.image), str(self.mount))


@contextmanager
def disk(folder: Path, kind: str) -> Iterator[Disk]:
    """Make a file system of ``kind``, mount it, and take all away at the end."""
    image, mount = folder / f"{kind}.img", folder / kind
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(int(SIZES[kind][:-1]) << 20)
    _run(f"mkfs.{kind}", "-q", str(image))
    _run("mount", "-o", "loop", str(image), str(mount))
    try:
        yield Disk(image, mount)
    finally:
        _run("umount", "-l", str(mount))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


class Fuse:
    """Counts the calls of ``os`` that change something below a mount, and cuts the power before number ``at``."""

    def __init__(self, place: Disk, at: int = 0, way: int = WITHOUT_LOG) -> None:
        self._place, self._at, self._way = place, at, way
        self.calls: list[str] = []

    @property
    def blown(self) -> bool:
        """Whether the power was cut."""
        return 0 < self._at <= len(self.calls)

    @contextmanager
    def installed(self) -> Iterator["Fuse"]:
        """Watch the calls of the body."""
        with _all(mock.patch.object(os, name, self._watched(name, getattr(os, name))) for name in CALLS):
            yield self
        self._end_process()

    def _end_process(self) -> None:
        """Close what a drill keeps open to its end: its locks."""
        for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the numbers
            with suppress(OSError):
                if self._is_below(f"/proc/self/fd/{number}"):
                    os.close(int(number))

    def _is_below(self, path: str) -> bool:
        return os.path.realpath(path).startswith(f"{self._place.mount}/")

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if self._concerns(name, args):
                self.calls.append(name)
                if len(self.calls) == self._at:
                    with mock.patch.object(os, "open", _OPEN):
                        self._place.cut(self._way)
            return real(*args, **options)

        return call

    def _concerns(self, name: str, args: tuple[Any, ...]) -> bool:
        if name == "open" and not args[1] & (os.O_CREAT | os.O_TRUNC):
            return False
        return self._is_below(f"/proc/self/fd/{args[0]}" if isinstance(args[0], int) else os.fspath(args[0]))


_OPEN = os.open


@contextmanager
def _all(patches: Iterator[Any]) -> Iterator[None]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield

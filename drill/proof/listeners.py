"""Which process of this machine listens at an address: by the kernel's own tables, without asking anybody."""

import os
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PROC = Path("/proc")
LISTEN = "0A"
SEARCH_S = 1.0
"""How long the processes of this machine may be gone through."""
CLOSE_S = 1.5
"""Seconds that the start of a process may be off the one that it shows: its clock begins with a whole second."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """The processes that listen at one address."""

    pids: tuple[int, ...] = ()
    problem: str = ""
    """Why somebody listens here and it is not known who."""


def listeners(url: str) -> Listeners:
    """Return who listens at the host and port of ``url``; nobody where that is another machine."""
    inodes = set(_inodes(url))
    if not inodes:
        return Listeners()
    found = _holders(inodes)
    return Listeners(tuple(sorted(found)), "" if found else "another user's process listens there")


def started_at(pid: int) -> float | None:
    """Return when a process began, in seconds since the epoch; None if it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = next(line for line in (PROC / "stat").read_text().splitlines() if line.startswith("btime "))
        return int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def is_same(pid: int, start_time: float | None) -> bool:
    """Whether ``pid`` is the process that shows ``start_time`` in its metrics: what forwards a port shows another."""
    began = started_at(pid)
    return began is not None and start_time is not None and abs(began - start_time) <= CLOSE_S


def _inodes(url: str) -> Iterator[str]:
    """Yield the inodes of the sockets that listen for ``url`` on this machine."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    local = {address for address in _addresses(parts.hostname or "", port) if _is_local(address)}
    if not local:
        return
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                host, _, hexed = fields[1].partition(":")
                if fields[3] == LISTEN and int(hexed, 16) == port and _accepts(_address(host), local):
                    yield fields[9]


def _addresses(host: str, port: int) -> set[str]:
    """Return the addresses of a host that can only be this machine; a name that a server must be asked for is not."""
    numeric = ":" in host or host.replace(".", "").isdecimal()
    if not numeric and host.lower() not in {"localhost", socket.gethostname().lower()}:
        return set()
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


def _is_local(address: str) -> bool:
    """Whether an address is this machine's: only then can a socket be bound to it. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _accepts(listening: str, local: Collection[str]) -> bool:
    """Whether a socket that listens at ``listening`` accepts connections to one of ``local``."""
    return listening in local or listening in {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to


def _address(hexed: str) -> str:
    """Return an address as the kernel's table has it (words in the machine's order) in its usual notation."""
    words = [bytes.fromhex(hexed[at : at + 8])[::-1] for at in range(0, len(hexed), 8)]
    raw = b"".join(words)
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, raw).removeprefix("::ffff:")


def _holders(inodes: Collection[str]) -> set[int]:
    """Return the processes that hold one of the sockets, of those that may be looked into."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    deadline = time.monotonic() + SEARCH_S
    found: set[int] = set()
    for process in PROC.iterdir():
        if time.monotonic() > deadline:
            break
        if process.name.isdecimal():
            with suppress(OSError):  # it has ended, or is another user's
                if any(_target(descriptor) in wanted for descriptor in (process / "fd").iterdir()):
                    found.add(int(process.name))
    return found


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""

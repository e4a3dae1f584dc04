"""Names to addresses, with a bound: the system's resolver takes as long as it likes, and cannot be interrupted.

Each lookup runs in a thread of its own that nobody has to wait for; who asks for the same name meanwhile waits for the
same lookup, so that a resolver that hangs costs one thread per name.
"""

import socket
import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Lookup:
    done: threading.Event = field(default_factory=threading.Event)
    found: list[str] = field(default_factory=list)
    problem: Exception | None = None


_running: dict[tuple[str, int], _Lookup] = {}
_lock = threading.Lock()


def addresses(host: str, port: int, within_s: float) -> list[str]:
    """Return the addresses of ``host``, in the resolver's order.

    Raises ``TimeoutError`` after ``within_s`` seconds, and what the resolver raises (``OSError``, ``UnicodeError``).
    """
    try:
        return _ask(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # a name: it has to be looked up
    lookup = _lookup(host, port)
    if not lookup.done.wait(max(0.0, min(within_s, threading.TIMEOUT_MAX))):
        raise TimeoutError("name not resolved in time")
    if lookup.problem is not None:
        raise lookup.problem
    return lookup.found


def _lookup(host: str, port: int) -> _Lookup:
    with _lock:
        lookup = _running.get((host, port))
        if lookup is None:
            lookup = _running[host, port] = _Lookup()
            threading.Thread(target=_run, args=(host, port, lookup), name="resolver", daemon=True).start()
        return lookup


def _run(host: str, port: int, lookup: _Lookup) -> None:
    try:
        lookup.found = _ask(host, port, 0)
    except (OSError, UnicodeError) as problem:
        lookup.problem = problem
    finally:
        with _lock:
            del _running[host, port]
        lookup.done.set()


def _ask(host: str, port: int, flags: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(str(info[4][0]) for info in found))

"""A load balancer in front of instances: each new connection goes to the next one."""

import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def balanced(urls: Sequence[str]) -> Iterator[str]:
    """Yield the one URL behind which the instances at ``urls`` take turns."""
    listener = socket.create_server(("127.0.0.1", 0))
    turn = itertools.cycle([urlsplit(url) for url in urls])
    threading.Thread(target=_accept, args=(listener, turn), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def _accept(listener: socket.socket, turn: "itertools.cycle") -> None:  # type: ignore[type-arg]
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        where = next(turn)
        try:
            server = socket.create_connection((where.hostname, where.port), timeout=2)
        except OSError:
            client.close()
            continue
        server.settimeout(None)
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    source.close()

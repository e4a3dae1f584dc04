"""Ways to be dead: what a peer does with a connection, and certificates that nobody should accept."""

import gzip
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

Talk = Callable[[socket.socket], None]
OVER = threading.Event()
"""Set when the scenario ends."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CERTIFICATES = ("self_signed", "expired", "wrong_name")


def silent(connection: socket.socket) -> None:
    """Accept and say nothing."""
    del connection
    OVER.wait()


def drip(connection: socket.socket) -> None:
    """Answer a byte a second."""
    for byte in HEAD * 1000:
        connection.sendall(bytes([byte]))
        if OVER.wait(1.0):
            return


def flood(connection: socket.socket) -> None:
    """Answer with gigabytes."""
    connection.sendall(HEAD + b"\r\n")
    for _ in range(4096):
        connection.sendall(b"x" * 1_000_000)


def bomb(connection: socket.socket) -> None:
    """Answer with kilobytes that unpack to gigabytes."""
    packed = gzip.compress(bytes(32_000_000), compresslevel=1) * 100
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)


def broken(connection: socket.socket) -> None:
    """Hang up without a word."""
    connection.shutdown(socket.SHUT_RDWR)


def redirect(to: str) -> Talk:
    """Answer that what is asked for is elsewhere."""
    text = f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
    return lambda connection: connection.sendall(text.encode())


def postgres_with(certificate: "Certificate") -> Talk:
    """Speak PostgreSQL as far as its TLS handshake."""

    def talk(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert, certificate.key)
        with suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1000)

    return talk


@contextmanager
def peer(talk: Talk) -> Iterator[int]:
    """Run a server on 127.0.0.1 that does ``talk`` with each connection; yield its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate and its key; ``ca`` is what a client should trust, empty: nothing of ours."""

    cert: Path
    key: Path
    ca: str

    @classmethod
    def make(cls, folder: Path, kind: str) -> "Certificate":
        """Make a certificate that is bad in one way only."""
        cert, key, request, names = (folder / f"tls.{end}" for end in ("crt", "key", "csr", "ext"))
        name = "DNS:elsewhere.example" if kind == "wrong_name" else "IP:127.0.0.1"
        names.write_text(f"subjectAltName={name}\n")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=drill")
        days = "-1" if kind == "expired" else "2"
        _openssl("req", *curve, "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-days", days, "-in", request, "-signkey", key, "-extfile", names, "-out", cert)
        return cls(cert, key, "" if kind == "self_signed" else str(cert))


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def talks(elsewhere: str) -> dict[str, Talk]:
    """Return what a peer can do with a connection, by name; ``elsewhere`` is where redirects lead."""
    return {
        "silent": silent,
        "drip": drip,
        "flood": flood,
        "bomb": bomb,
        "broken": broken,
        "redirect": redirect(elsewhere),
        "redirect_scheme": redirect("https://elsewhere.example/"),
    }

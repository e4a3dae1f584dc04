"""Talking to a running stack: one JSON line there, one back, over a private Unix socket."""

import json
import socket
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError

CONNECT_S = 2.0


def ask(path: Path, command: str, timeout_s: float = 60.0, **parameters: object) -> Any:
    """Send a command to the supervisor and return its result; raise ``SandboxError`` with its message or ours."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CONNECT_S)
            connection.connect(str(path))
            connection.settimeout(timeout_s)
            connection.sendall(json.dumps({"command": command, **parameters}).encode() + b"\n")
            answer = json.loads(_line(connection))
    except (OSError, ValueError) as error:
        raise SandboxError(f"the sandbox does not answer ({error}); try `python -m sandbox down`") from None
    if "error" in answer:
        raise SandboxError(answer["error"])
    return answer["result"]


def reachable(path: Path) -> bool:
    """Return whether a supervisor listens there."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CONNECT_S)
            connection.connect(str(path))
    except OSError:
        return False
    return True


def _line(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as lines:
        return lines.readline()


class ControlServer:
    """Accepts one request at a time."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(8)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._listener.fileno()

    def accept(self) -> tuple[socket.socket, dict[str, Any]] | None:
        """Return the next connection and its request, or ``None`` if it said nothing that makes sense."""
        connection, _ = self._listener.accept()
        connection.settimeout(CONNECT_S)
        try:
            return connection, json.loads(_line(connection))
        except (OSError, ValueError):
            connection.close()
            return None

    @staticmethod
    def answer(connection: socket.socket, answer: dict[str, Any]) -> None:
        """Send the answer; a client that went away is no concern of ours."""
        with connection:
            try:
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                return

"""The corpus, an intent log in memory and an operating system that fails on demand."""

import base64
import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from drill.envfile.osops import OsLayer

CORPUS = Path(__file__).parent / "corpus"
PLAIN = b"A=1\nFF_RETRIEVAL_DUAL_WRITE=ON\nFF_RETRIEVAL_SHADOW_READ=ON\nRETRIEVAL_BACKEND=pgvector\n"
PLAIN_AFTER = b"A=1\nFF_RETRIEVAL_DUAL_WRITE=OFF\nFF_RETRIEVAL_SHADOW_READ=OFF\nRETRIEVAL_BACKEND=faiss\n"


@dataclass(frozen=True)
class Sample:
    """One pair of the corpus."""

    name: str
    data: bytes
    sidecar: dict[str, Any]

    @property
    def policy(self) -> str:
        return str(self.sidecar["policy"]["recommended"])

    @property
    def expected(self) -> bytes:
        return base64.b64decode(self.sidecar["expected"]["b64"])

    @property
    def misreaders(self) -> set[str]:
        return set(self.sidecar["observed_readers"]["not_right_after"])


SAMPLES = tuple(
    Sample(path.stem, path.with_suffix(".env").read_bytes(), json.loads(path.read_text()))
    for path in sorted(CORPUS.glob("*.json"))
)


class MemoryLog:
    """An intent log that keeps its events, and can fail like a full disk."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, str | int]]] = []
        self.fails = False

    def intent(self, action: str, **facts: str | int) -> None:
        self._keep("intent", action, facts)

    def done(self, action: str, **facts: str | int) -> None:
        self._keep("done", action, facts)

    def _keep(self, kind: str, action: str, facts: dict[str, str | int]) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.events.append((kind, action, facts))


class FaultyOs(OsLayer):
    """The real system, except that ``fault`` may raise before a call is made; it gets the call's number and name."""

    def __init__(self, fault: Callable[[int, str], None] = lambda _number, _name: None) -> None:
        self.calls: list[str] = []
        self.fault = fault
        self.open_fds: set[int] = set()

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in vars(OsLayer) or name.startswith("_"):
            return value
        return partial(self._call, name, value)

    def _call(self, name: str, real: Callable[..., Any], *args: Any) -> Any:
        self.calls.append(name)
        self.fault(len(self.calls), name)
        result = real(*args)
        if name == "open":
            self.open_fds.add(result)
        elif name == "close":
            self.open_fds.discard(args[0])
        return result

    def end_process(self) -> None:
        """Close what is still open, as the kernel does when a process ends."""
        while self.open_fds:
            os.close(self.open_fds.pop())


class MountedOs(FaultyOs):
    """As in a container that has the env file alone mounted in: nothing can be renamed over it."""

    def rename(self, source: Path, target: Path) -> None:
        if target.name == ".env.staging":
            raise OSError(errno.EBUSY, "Device or resource busy")
        super().rename(source, target)


def beside(path: Path) -> dict[str, bytes]:
    """Return the other files in the env file's directory, by name."""
    return {other.name: other.read_bytes() for other in path.parent.iterdir() if other != path}

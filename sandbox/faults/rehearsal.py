"""Faults that a rehearsal must find before anything is touched."""

import json
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import fault
from sandbox.home import REHEARSAL

if TYPE_CHECKING:
    from sandbox.service.settings import Settings

_kept: list[socket.socket] = []


def _port_of_the_first() -> int:
    """Return the port of a running instance, by the state that lies beside the file of the faults."""
    state = Path(sys.argv[sys.argv.index("--faults") + 1]).with_name("stack.json")
    port: int = json.loads(state.read_text())["ports"][0]
    return port


@fault
class NeedsTargetAtBoot(Hooks):
    """The service does not boot without the target, even where FAISS serves."""

    def boot(self, settings: "Settings") -> None:
        """Connect."""
        import psycopg

        from sandbox.service.target import connect

        try:
            connect(settings.dsn).close()
        except psycopg.Error:
            sys.exit("the target does not answer")


@fault
class NoFaissInImage(Hooks):
    """The service finds no FAISS data where its image has it: it comes up and knows nothing."""

    def faiss_dir(self, faiss_dir: Path) -> Path:
        """Look elsewhere."""
        return faiss_dir / "not-in-this-image"


@fault
class RehearsalTakesRealPort(Hooks):
    """The rehearsal instance also listens on the port of a running one."""

    def boot(self, settings: "Settings") -> None:  # noqa: ARG002 - on any settings
        """Listen where the first instance does, which ``SO_REUSEPORT`` allows."""
        if self.instance != REHEARSAL:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", _port_of_the_first()))
        listener.listen()
        _kept.append(listener)


@fault
class RehearsalNeverStops(Hooks):
    """The rehearsal instance ignores SIGTERM."""

    async def search(self) -> None:
        """Stop listening to signals; uvicorn has set its handlers by now."""
        if self.instance == REHEARSAL:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


@fault
class RehearsalWritesIndex(Hooks):
    """The rehearsal instance writes to its index when it boots."""

    def boot(self, settings: "Settings") -> None:
        """Touch up the documents."""
        if self.instance != REHEARSAL:
            return
        for docs in Path(settings.faiss_dir).glob("*/docs.json"):
            docs.write_text(docs.read_text() + "\n")

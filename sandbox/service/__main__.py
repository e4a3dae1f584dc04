"""Run one instance: ``python -m sandbox.service --env-file F --port P --instance N [--faults F]``."""

import argparse
import logging
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

from sandbox.processes import die_with_parent
from sandbox.service.errors import SettingsError
from sandbox.service.settings import load

GRACE_S = 2


def main() -> None:
    """Boot, serve until SIGTERM, and leave at once: whatever was acknowledged is on disk."""
    arguments = _arguments()
    if arguments.parent:
        die_with_parent(arguments.parent)
    try:
        settings = load(arguments.env_file, os.environ)
    except SettingsError as error:
        sys.exit(f"retrieval service refuses to boot: {error}")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    import faiss
    import uvicorn

    from sandbox import faults  # noqa: F401 - registers every fault
    from sandbox.faults.active import ActiveFaults
    from sandbox.service.app import create_app
    from sandbox.service.core import RetrievalService

    faiss.omp_set_num_threads(1)
    active = ActiveFaults(arguments.faults, arguments.instance)
    active.boot(settings)
    settings = replace(settings, faiss_dir=active.faiss_dir(settings.faiss_dir))
    app = create_app(RetrievalService(settings, active))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        ws="none",
        loop="asyncio",
        http="h11",
    )
    uvicorn.Server(config).run(sockets=[_listen(arguments.port)])
    os._exit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.service", description=__doc__)
    parser.add_argument("--env-file", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--instance", type=int, default=0)
    parser.add_argument("--faults", type=Path)
    parser.add_argument("--parent", type=int, default=0, help="end when this process does")
    return parser.parse_args()


def _listen(port: int) -> socket.socket:
    # With the protocol named, or asyncio would not set TCP_NODELAY and every answer would wait 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # The supervisor keeps the port taken between two lives of the instance, by a bound socket that does not listen.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener


if __name__ == "__main__":
    main()

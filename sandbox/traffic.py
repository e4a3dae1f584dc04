"""Background users: reads and writes at a bounded rate over all instances, whatever happens to them."""

import argparse
import http.client
import itertools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.processes import die_with_parent
from sandbox.traffic_plan import edit, note, question

READS_PER_S = 15.0
WRITES_PER_S = 4.0
READERS = 6
WRITERS = 2
CHAT_EVERY = 10
NOTE_EVERY = 5
TIMEOUT_S = 5.0
REPORT_S = 1.0


@dataclass(slots=True)
class Counts:
    """How many requests were answered well and how many were not."""

    ok: int = 0
    errors: int = 0


@dataclass(slots=True)
class Tally:
    """Counts by kind; ``name`` is ``reads`` or ``writes``."""

    reads: Counts = field(default_factory=Counts)
    writes: Counts = field(default_factory=Counts)


class User(threading.Thread):
    """One user: asks its instances in turn, one request at a time, at ``rate`` per second at most."""

    def __init__(
        self, ports: Sequence[int], rate: float, counts: Counts, compose: Callable[[int], tuple[str, object]]
    ) -> None:
        super().__init__(daemon=True)
        self._connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S) for port in ports]
        self._gap_s = 1.0 / rate
        self._counts = counts
        self._compose = compose

    def run(self) -> None:
        """Ask until the process ends."""
        due = time.monotonic()
        for number in itertools.count():
            due = max(due + self._gap_s, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            path, body = self._compose(number)
            if self._ask(self._connections[number % len(self._connections)], path, body):
                self._counts.ok += 1
            else:
                self._counts.errors += 1

    @staticmethod
    def _ask(connection: http.client.HTTPConnection, path: str, body: object) -> bool:
        try:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        return response.status == http.client.OK


def reader(tenants: Sequence[str], offset: int) -> Callable[[int], tuple[str, object]]:
    """Return how a reading user composes its ``number``-th request."""

    def compose(number: int) -> tuple[str, object]:
        tenant = tenants[number // 2 % len(tenants)]
        text = question(tenant, number * READERS + offset)
        if number % CHAT_EVERY == CHAT_EVERY - 1:
            return "/chat/advise", {"question": text, "tenant": tenant}
        return "/internal/retrieval/search", {"query": text, "top_k": 10, "tenant": tenant}

    return compose


def writer(tenants: Sequence[str], offset: int) -> Callable[[int], tuple[str, object]]:
    """Return how a writing user composes its ``number``-th request: an edit, or now and then a new document."""

    def compose(number: int) -> tuple[str, object]:
        tenant = tenants[number // 2 % len(tenants)]
        serial = number * WRITERS + offset
        document = note(tenant, serial // NOTE_EVERY) if serial % NOTE_EVERY == 0 else edit(tenant, serial)
        entry = {"id": document.id, "text": document.text, "meta": dict(document.meta)}
        return "/internal/retrieval/ingest", {"tenant": tenant, "documents": [entry]}

    return compose


def main() -> None:
    """Run all users; write what they saw to ``--report`` every second."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.traffic", description=__doc__)
    parser.add_argument("--ports", type=int, nargs="+", required=True)
    parser.add_argument("--tenants", nargs="+", required=True)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    die_with_parent(arguments.parent)
    tally = Tally()
    for offset in range(READERS):
        compose = reader(arguments.tenants, offset)
        User(_turned(arguments.ports, offset), READS_PER_S / READERS, tally.reads, compose).start()
    for offset in range(WRITERS):
        compose = writer(arguments.tenants, offset)
        User(_turned(arguments.ports, offset), WRITES_PER_S / WRITERS, tally.writes, compose).start()
    while True:
        time.sleep(REPORT_S)
        _report(arguments.report, tally)


def _turned(ports: Sequence[int], offset: int) -> list[int]:
    start = offset % len(ports)
    return [*ports[start:], *ports[:start]]


def _report(path: Path, tally: Tally) -> None:
    counts = {
        "reads": tally.reads.ok,
        "read_errors": tally.reads.errors,
        "writes": tally.writes.ok,
        "write_errors": tally.writes.errors,
    }
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(counts))
    fresh.rename(path)


if __name__ == "__main__":
    main()

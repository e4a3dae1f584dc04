"""One stack for many drills: put back into what it began with before each, whatever the last one left."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from psycopg.sql import SQL, Identifier

from drill.reopen.replay import OUTBOX
from sandbox.content import content_hash
from sandbox.corpus import TENANTS, documents
from sandbox.faults.snapshots import FEW
from sandbox.service.target import TABLE, connect
from sandbox.stack import INCIDENT, Metrics, Stack
from sandbox.traffic_plan import quiet_rows
from tests.drill.harness import Desk, Ran

DOWN = "target_down"
SHADOW = "retrieval_shadow_"
WAITING = 6
"""Writes on each instance of which a replay that loses each third one loses some."""
WAIT_S = 60.0
QUICK = {"DRILL_SLO__OBSERVE_S": "8", "DRILL_SERVICE__RELOAD_TIMEOUT_S": "25"}
"""A short observation; every limit as delivered."""


@dataclass
class Bench:
    """A running stack and where its drills leave what they write."""

    stack: Stack
    folder: Path
    began_with: bytes = b""
    """The env file, as it was at the beginning."""
    _turn: int = 0

    def __post_init__(self) -> None:
        """Remember the env file."""
        self.began_with = self.stack.env_file.read_bytes()

    def reset(self, changes: Mapping[bytes, bytes] | None = None) -> None:
        """Put the beginning back: flags, processes, no oddity, no fault but those of the incident, an empty journal."""
        self._turn += 1
        faults = self.stack.status().faults
        for name, instances in faults.items():
            if name not in INCIDENT and instances:
                self.stack.fault(name, on=False)
        for left in self.stack.home.glob(".env.*"):
            left.unlink()
        text = self.began_with
        for old, new in (changes or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        self.stack.env_file.write_bytes(text)
        self.restart()

    def restart(self) -> None:
        """Restart the instances, and wait until an incident that is on shows."""
        self.stack.reload()
        faults = self.stack.status().faults
        if any(faults.get(name) for name in INCIDENT):
            self.stack.await_incident()

    def drill(self, *options: str, **environ: str) -> tuple[Ran, float]:
        """Perform a real drill, and return it with the seconds it took."""
        here = self.folder / f"drill-{self._turn}"
        desk = Desk(self.stack.env_file, here / "artifacts", here / "reports")
        began = time.monotonic()
        ran = desk.drill(*options, timeout_s=900, **{**QUICK, **environ})
        return ran, time.monotonic() - began


def let_writes_wait(stack: Stack) -> None:
    """Take the target down until some writes wait on each instance; in an incident that comes and goes they may not."""
    stack.fault(DOWN)
    deadline = time.monotonic() + WAIT_S
    while min(map(_waiting, stack.base_urls)) < WAITING:
        assert time.monotonic() < deadline, "no writes wait in the outbox"
        time.sleep(0.2)


def let_shadow_reads_show(stack: Stack) -> None:
    """Wait until each instance has counted one: where it does not say its flags, silence after them is proof then."""
    deadline = time.monotonic() + WAIT_S
    while not all(_counted(url, SHADOW) for url in stack.base_urls):
        assert time.monotonic() < deadline, "no shadow reads are counted"
        time.sleep(0.2)


def heal_target(stack: Stack) -> None:
    """End the incident, and what `let_writes_wait` has done."""
    for name in (*INCIDENT, DOWN):
        stack.fault(name, on=False)


def quiet_copies(stack: Stack) -> dict[str, set[tuple[str, str]]]:
    """Return id and hash, by tenant, of documents that nobody edits and that the target has as the corpus has them."""
    found = {}
    with connect(stack.dsn) as connection:
        for tenant in TENANTS:
            held = {document.id: (document.id, content_hash(document.text)) for document in documents(tenant)}
            wanted = [list(held)[row] for row in quiet_rows(tenant, {key: row for row, key in enumerate(held)}, FEW)]
            query = SQL("select id, content_hash from {} where tenant = %s and id = any(%s)").format(Identifier(TABLE))
            seen = connection.execute(query, (tenant, wanted)).fetchall()
            found[tenant] = set(seen) & set(held.values())
    return found


def _waiting(url: str) -> float:
    return _counted(url, OUTBOX)


def _counted(url: str, name: str) -> float:
    """Return the sum of the samples of all families whose name begins so."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    found = (one for family in families if family.name.startswith(name) for one in family.samples)
    return sum(one.value for one in found if not one.name.endswith("_created"))


@contextmanager
def open_bench(folder: Path, source: str, **start: Any) -> Iterator[Bench]:
    """Start a stack (``start`` as of ``Stack.start``) whose drills read their metrics from ``source``."""
    folder.mkdir(parents=True)
    kept: Metrics = "prometheus" if source == "prometheus" else "scrape"
    with Stack.start(folder / "home", metrics=kept, **start) as stack:
        yield Bench(stack, folder)


def seen(ran: Ran) -> dict[str, str]:
    """Return id -> verdict of every row that is not green; rows that were left out are not among them."""
    return {row: ran.verdicts[row] for row in ran.not_green}

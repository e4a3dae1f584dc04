"""The outbox on disk: what waits for the target survives a restart of the service."""

import json
import time
from pathlib import Path

from sandbox.service.outbox import Key, Outbox


class OutboxFile:
    """Keeps an outbox in a file beside the primary's data."""

    def __init__(self, path: Path | None, outbox: Outbox) -> None:
        self._path = path
        self._outbox = outbox
        self._kept: tuple[Key, ...] = ()

    def load(self) -> None:
        """Take back what waited when the service ended."""
        if self._path is None:
            return
        try:
            kept = json.loads(self._path.read_text())
        except FileNotFoundError:
            return
        away_s = max(0.0, time.time() - kept["saved"])
        self._outbox.take_back({Key(tenant, name): age + away_s for tenant, name, age in kept["waiting"]})

    def save(self) -> None:
        """Write what waits, if it is not there already."""
        ages = self._outbox.ages()
        if self._path is None or (keys := tuple(ages)) == self._kept:
            return
        fresh = self._path.with_suffix(".new")
        waiting = [[key.tenant, key.id, age] for key, age in ages.items()]
        fresh.write_text(json.dumps({"saved": time.time(), "waiting": waiting}))
        fresh.replace(self._path)
        self._kept = keys

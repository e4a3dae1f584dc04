"""The service as it was beside the write: what was so before the change is none of the change's doing.

The look is begun when the flags are on disk and held up by nothing; neither the flags nor the reload wait for it.
"""

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drill.context import Drill
    from drill.observation import Reading
    from drill.service import Health

BESIDE_S = 1.0
"""How long a reload waits for the look, which began with the write: what has not come by then is unknown."""
LAST_PROBES = 5
"""By so many probes it is judged whether an instance answers searches."""


@dataclass
class LookBefore:
    """Health and metrics of every instance beside the write."""

    drill: "Drill"
    begun: bool = False
    reading: "Reading | None" = None
    _health: dict[str, "Health"] = field(default_factory=dict)
    _over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Begin to look, in the background. Clients are made here: two threads would make two."""
        if not self.begun:
            self.begun = True
            self.drill.service, self.drill.source  # noqa: B018 - made now
            threading.Thread(target=self._look, name="look-before", daemon=True).start()

    def end(self) -> None:
        """Take what was seen, at most `BESIDE_S` from now: later answers are of a service that is being reloaded."""
        if self.begun:
            self._done.wait(BESIDE_S)
        with self._lock:
            self._over = True

    def note(self, found: Iterable["Health"]) -> None:
        """Remember what was answered to health requests; an instance that was well once was well."""
        with self._lock:
            if not self._over:
                told = [one for one in found if one.reply.apart is None]
                self._health |= {one.instance: one for one in told if not self._well(one.instance)}

    def keep(self, reading: "Reading") -> None:
        """Remember a later reading that is one of before the reload all the same, if none came in time."""
        with self._lock:
            if self.begun and not self._over:
                self.reading = self.reading or reading

    def was_up(self, instance: str) -> bool | None:
        """Whether the instance was healthy; ``None`` if that is not known."""
        found = self._health.get(instance)
        return None if found is None else found.ok

    def sick(self) -> list["Health"]:
        """Return what the instances answered that were not healthy."""
        return [found for found in self._health.values() if not found.ok]

    def _well(self, instance: str) -> bool:
        return instance in self._health and self._health[instance].ok

    def _look(self) -> None:
        with suppress(Exception):  # a look that fails has seen nothing, and nobody waits for it
            self.note(self.drill.service.health())
            reading = self.drill.glance_at_metrics()
            with self._lock:
                self.reading = self.reading if self._over else reading
        self._done.set()


def answers_searches(drill: "Drill", instance: str, since: float) -> bool:
    """Whether most of the instance's last probes that were due after ``since`` (monotonic) were answered well.

    One that the service's limiter turned away, or the drill did not measure, says neither.
    """
    told = (probe for probe in drill.prober.results(since) if probe.instance == instance and probe.apart is None)
    last = [probe.ok for probe in told][-LAST_PROBES:]
    return 2 * sum(last) > len(last)


def still_down(drill: "Drill", found: Sequence["Health"], since: float) -> list["Health"]:
    """Return who of ``found`` is down after the rollback.

    Health decides where it was good before. Where it was bad before too (a service that calls itself degraded, a path
    that is not there, a login page) it says nothing of the change, and searches decide.
    """
    look = drill.look
    by_searches = {one.instance for one in found if look.begun and look.was_up(one.instance) is not True}
    return [
        one
        for one in found
        if one.down and not (one.instance in by_searches and answers_searches(drill, one.instance, since))
    ]

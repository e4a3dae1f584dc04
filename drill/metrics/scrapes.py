"""When Prometheus has scraped which target, and waiting for a scrape that lies wholly after a moment.

A scrape that was not there yet when it was looked for may have been under way since before; the one after it cannot
have been. So two newer ones are waited for, and no clock of this machine is compared with Prometheus' (METRICS.md,
number 21).
"""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import median

from drill.errors import CannotMeasure
from drill.metrics.prometheus import PrometheusClient
from drill.metrics.selection import Selection
from drill.metrics.targets import Targets

NEWER = 2
"""Scrapes that must have come after a moment for the last of them to lie wholly after it."""
WAIT_INTERVALS = 3.5
WAIT_S = 5.0
MAX_WAIT_S = 240.0
"""How long they are waited for: so many scrape intervals and seconds, but never longer than that."""
UNKNOWN_INTERVAL_S = 15.0
"""What is taken for the interval where Prometheus has not scraped twice yet."""
POLL_S = 0.2
LOOK_BACK_S = 600.0
"""How far back the first look goes; the interval is known from then on."""

Scrapes = Mapping[str, Sequence[tuple[float, float]]]
"""Instance -> (time, ``up``) of its scrapes, oldest first."""


class ScrapeLog:
    """Looks for scrapes, and remembers when it has seen which; raises `CannotMeasure`."""

    def __init__(self, client: PrometheusClient, select: Selection, tick: Callable[[str], None]) -> None:
        self._client, self._select, self._tick = client, select, tick
        self._polls: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=500)
        self.interval_s = 0.0
        """Seconds between two scrapes; 0 as long as it is not known."""

    def newest(self, targets: Targets) -> Scrapes:
        """Return the latest scrapes of every target."""
        asked = time.monotonic()
        span = 10 * self.interval_s + WAIT_S if self.interval_s else LOOK_BACK_S
        found = self._client.raw(self._select.up(targets.matcher()), span)
        by_label: dict[str, set[tuple[float, float]]] = {}
        for series in found:  # several, where labels of the target have changed meanwhile
            by_label.setdefault(series.labels.get("instance", ""), set()).update(series.samples)
        scrapes = {name: sorted(by_label.get(label, ())) for name, label in targets.labels.items()}
        gaps = [b - a for seen in scrapes.values() for (a, _), (b, _) in pairwise(seen)]
        self.interval_s = round(median(gaps), 3) if gaps else self.interval_s
        newest = {name: seen[-1][0] for name, seen in scrapes.items() if seen}
        if self._polls and any(at < self._polls[-1][1].get(name, 0.0) for name, at in newest.items()):
            raise CannotMeasure(
                "Prometheus' newest scrape went back in time: several servers answer at one URL; name one of them"
            )
        self._polls.append((asked, newest))
        return scrapes

    def after_now(self, targets: Targets) -> Scrapes:
        """Return the scrapes once every target has been scraped well, wholly after this call.

        After a bounded wait a target that could not be scraped is left as it is: its newest scrape has failed then.
        """
        began = time.monotonic()
        first = {name: seen[-1][0] if seen else 0.0 for name, seen in self.newest(targets).items()}
        deadline = began + min(WAIT_INTERVALS * (self.interval_s or UNKNOWN_INTERVAL_S) + WAIT_S, MAX_WAIT_S)
        while True:
            time.sleep(min(POLL_S, self.interval_s / 4 or POLL_S))
            scrapes = self.newest(targets)
            behind = [targets.labels[name] for name, seen in scrapes.items() if _newer(seen, first[name]) < NEWER]
            late = time.monotonic() > deadline
            if not behind and (late or all(seen[-1][1] == 1 for seen in scrapes.values())):
                return scrapes
            if late:
                raise CannotMeasure(self._stands_still(behind, time.monotonic() - began))
            self._tick(f"waiting for Prometheus' next scrapes (one in {self.interval_s:g} s)")

    def known_since(self, scrapes: Scrapes) -> float:
        """Return the latest moment (monotonic) of which it is known that the last of ``scrapes`` lie wholly after it.

        If there is none, return the moment of the first look: nothing is known of what came after that.
        """
        for asked, newest in reversed(self._polls):
            if all(_newer(seen, newest.get(name, math.inf)) >= NEWER for name, seen in scrapes.items()):
                return asked
        return self._polls[0][0]

    def _stands_still(self, behind: Sequence[str], waited_s: float) -> str:
        usual = f"usually every {self.interval_s:g} s" if self.interval_s else "before, at most once"
        return (
            f"Prometheus has not scraped {', '.join(behind)} {NEWER} times within {waited_s:.0f} s ({usual}): "
            "it stands still, or does not scrape any more"
        )


def _newer(seen: Sequence[tuple[float, float]], than: float) -> int:
    return sum(at > than for at, _ in seen)

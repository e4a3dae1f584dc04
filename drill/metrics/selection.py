"""The selectors that are sent to Prometheus: which series a drill judges by, of which targets."""

from collections.abc import Sequence

from drill.metrics.matchers import parse_matchers, quoted
from drill.metrics.snapshot import START_TIME

SERVED = "retrieval_.+|http_requests_total"
SCRAPED, KEPT = "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"
"""How many samples a page had, and how many of them relabelling has left (METRICS.md, number 3)."""


class Selection:
    """Writes selectors; ``selector`` (``[metrics] selector``) becomes part of every one."""

    def __init__(self, selector: str, own: Sequence[str]) -> None:
        """``own`` are families of the design by the service's own names."""
        self.given = ",".join(str(matcher) for matcher in parse_matchers(selector)) if selector else ""
        named = "".join(f"|{name}(?:_total|_bucket|_count|_sum)?" for name in own)
        self._all = f"{SERVED}|{START_TIME}|{SCRAPED}|{KEPT}{named}"
        counted = "".join(f"|{name}(?:_total|_count)" for name in own)
        self._counters = f"{SERVED}|{START_TIME}|up{counted}{_plain(own)}"

    def up(self, targets: str = "") -> str:
        """Select ``up`` of the targets."""
        return f"up{self._braces(targets)}"

    def everything(self, targets: str) -> str:
        """Select all that a snapshot holds; ``_created`` are times, not counts."""
        return self._braces(f"__name__=~{quoted(self._all)}", '__name__!~".+_created"', targets)

    def counters(self, targets: str) -> str:
        """Select what is judged sample by sample: counters, the start of the process, and whether it was scraped.

        A native histogram counts under the plain name of its family, so only what says the same again is left out.
        """
        return self._braces(f"__name__=~{quoted(self._counters)}", '__name__!~".+_(?:bucket|sum|created)"', targets)

    def alive(self, targets: str) -> str:
        """Select what every scrape of a living process holds."""
        return self._braces(f"__name__=~{quoted(f'{START_TIME}|retrieval_requests_total')}", targets)

    def matching(self, targets: str) -> str:
        """Return the matchers alone."""
        return ",".join(filter(None, (self.given, targets)))

    def _braces(self, *matchers: str) -> str:
        return "{" + ",".join(filter(None, (*matchers[:-1], self.matching(matchers[-1])))) + "}"


def _plain(own: Sequence[str]) -> str:
    """Return the names themselves: the start time is called by its name alone."""
    return "".join(f"|{name}" for name in own)

"""A service that calls its metrics, or values of their labels, otherwise than the design: renaming what was read."""

from collections.abc import Iterable, Mapping

from drill.config import Values
from drill.metrics.snapshot import Key, Labels

METRIC_NAMES = (
    "retrieval_requests_total",
    "retrieval_errors_total",
    "retrieval_latency_seconds",
    "retrieval_dual_write_errors_total",
    "retrieval_dual_write_skipped_total",
    "retrieval_dual_write_outbox_size",
    "retrieval_dual_write_outbox_dropped_total",
    "retrieval_shadow_agreement_at_5",
    "retrieval_shadow_ndcg_at_10",
    "retrieval_shadow_latency_seconds",
    "retrieval_shadow_dropped_total",
    "http_requests_total",
    "process_start_time_seconds",
    "ALERTS",
)
"""The metrics of DESIGN.md section 7, which `[metrics] names` may rename."""
SUFFIXES = ("_total", "_bucket", "_count", "_sum", "")
"""What a sample may add to the name of its family."""


def base(name: str) -> str:
    """Return the name of a family, without the ``_total`` that only its samples and the classic format have."""
    return name.removesuffix("_total")


def family(sample: str) -> str:
    """Return the family that a sample's name belongs to."""
    return sample.removesuffix(next(suffix for suffix in SUFFIXES if sample.endswith(suffix)))


def implied(sample: str) -> set[str]:
    """Return the families that a sample of this name shows to be there, whatever their type."""
    return {base(sample), family(sample)}


UNENDING = frozenset(base(name) for name in METRIC_NAMES if name.endswith("_total"))
"""What the samples of our counters are called where a service leaves ``_total`` away."""


class Names:
    """The metrics of the design by the service's own names, and counters by the ``_total`` that some leave away."""

    def __init__(self, own: Mapping[str, str], values: Values | None = None) -> None:
        """``own`` maps a metric of the design to the service's own name for it, ``values`` do so for labels."""
        given = values or Values()
        self._values = {
            ("backend", "faiss"): "faiss",
            ("backend", given.faiss.lower()): "faiss",
            **{("reason", text.lower()): "flag_off" for text in given.flag_off},
            **{("reason", text.lower()): "circuit_open" for text in given.circuit_open},
        }
        self._back = {base(name): base(design) for design, name in own.items()}
        self._unending = set(UNENDING)

    def learn(self, counters: Iterable[str]) -> None:
        """Take samples that are called just so for those of a counter: a page or its server says that they are."""
        self._unending.update(self._back.get(name, name) for name in counters if not name.endswith("_total"))

    @property
    def own(self) -> tuple[str, ...]:
        """The families that the service calls otherwise, by its own names."""
        return tuple(self._back)

    def families(self, found: Mapping[str, str]) -> Mapping[str, str]:
        """Return families, name to type, by the names of the design."""
        return {self._back.get(name, name): kind for name, kind in found.items()}

    def samples(self, found: Mapping[Key, float]) -> Mapping[Key, float]:
        """Return samples by the names of the design."""
        called = {name: self.sample(name) for name in {name for name, _ in found}}
        summed: dict[Key, float] = {}
        for (name, labels), value in found.items():
            key = called[name], self.spelled(labels)
            summed[key] = summed.get(key, 0.0) + value
        return summed

    def spelled(self, labels: Labels) -> Labels:
        """Return labels with the values of the design, however the service spells them."""
        return frozenset((name, self._values.get((name, text.lower()), text)) for name, text in labels)

    def sample(self, name: str) -> str:
        """Return the design's name of a sample."""
        for suffix in SUFFIXES:
            if name.endswith(suffix) and (known := self._back.get(name.removesuffix(suffix))):
                return known + (suffix or "_total" * (known in self._unending))
        return name + "_total" * (name in self._unending)

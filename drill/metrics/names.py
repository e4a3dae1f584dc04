"""A service that calls its metrics otherwise than the design: renaming what was read."""

from collections.abc import Mapping

from drill.metrics.snapshot import Key

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


class Names:
    """The metrics of the design by the service's own names."""

    def __init__(self, own: Mapping[str, str]) -> None:
        """``own`` maps a metric of the design to the service's own name for it."""
        self._back = {base(name): base(design) for design, name in own.items()}

    @property
    def own(self) -> tuple[str, ...]:
        """The families that the service calls otherwise, by its own names."""
        return tuple(self._back)

    def families(self, found: Mapping[str, str]) -> Mapping[str, str]:
        """Return families, name to type, by the names of the design."""
        return {self._back.get(name, name): kind for name, kind in found.items()}

    def samples(self, found: Mapping[Key, float]) -> Mapping[Key, float]:
        """Return samples by the names of the design."""
        return {(self.sample(name), labels): value for (name, labels), value in found.items()} if self._back else found

    def sample(self, name: str) -> str:
        """Return the design's name of a sample."""
        for suffix in SUFFIXES:
            if name.endswith(suffix) and (known := self._back.get(name.removesuffix(suffix))):
                return known + suffix
        return name

"""How Qdrant is asked for documents by an id in their payload, where a condition matches values of one type only."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drill.document_id import as_number, as_whole, beyond_64_bits

if TYPE_CHECKING:
    from qdrant_client import models

TRUTHS = ("true", "false")


@dataclass(slots=True)
class IdCondition:
    """Conditions on the payload's field ``name``.

    ``seen``: the types of the ids that were read so far. ``strict``: the server refuses what no index serves.
    """

    name: str
    seen: set[type] = field(default_factory=set)
    strict: bool = False

    def any_of(self, ids: Collection[str]) -> "models.Filter":
        """Return the condition that a point's id is one of ``ids``.

        Text and whole number are both asked for, since both may occur; other types only where some were seen.
        """
        from qdrant_client import models

        conditions = [] if self.strict and str not in self.seen else [self._match(models.MatchAny(any=list(ids)))]
        numbers = [number for key in ids if (number := as_whole(key)) is not None]
        if numbers and (int in self.seen or not self.strict):
            conditions.append(self._match(models.MatchAny(any=numbers)))
        if bool in self.seen:
            conditions += [self._match(models.MatchValue(value=key == "true")) for key in ids if key in TRUTHS]
        for about in self._inexact(ids):
            conditions.append(models.FieldCondition(key=self.name, range=models.Range(gte=about, lte=about)))
        return models.Filter(should=conditions)

    def _inexact(self, ids: Collection[str]) -> list[float]:
        """Return the numbers that only a range finds, with what lies nearby: the caller compares."""
        found = [as_number(key) for key in ids] if float in self.seen else []
        found += [beyond_64_bits(key) for key in ids] if self.seen & {int, float} else []
        return [number for number in found if number is not None]

    def _match(self, match: Any) -> Any:
        from qdrant_client import models

        return models.FieldCondition(key=self.name, match=match)

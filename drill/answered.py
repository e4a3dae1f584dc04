"""Which documents the probes were answered: ids only, and of each thing asked only the last few different answers."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drill.document_id import id_text
from drill.http import Reply

if TYPE_CHECKING:
    from drill.probe import Ask

KEPT = 8
"""Different answers to one question that are kept; FAISS gives the same ones again and again."""
MAX_IDS = 50
"""Documents of an answer that are kept."""
MAX_LENGTH = 500
"""Characters of an id; what is longer is left out."""


@dataclass(slots=True)
class Answer:
    """The documents of an answer, and when it was given first and last (monotonic seconds)."""

    ids: tuple[str, ...]
    first: float
    last: float


class Answered:
    """What was answered to whom; filled by the probes' threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[Ask, dict[tuple[str, ...], Answer]] = {}

    def note(self, asked: "Ask", at: float, reply: Reply) -> None:
        """Note the ids of a search's answer, which is known to hold a list of results."""
        ids = ids_of(reply)
        with self._lock:
            known = self._answers.setdefault(asked, {})
            answer = known.pop(ids, None) or Answer(ids, at, at)
            answer.last = max(answer.last, at)
            known[ids] = answer  # the last to be given stands last
            if len(known) > KEPT:
                del known[next(iter(known))]

    def since(self, moment: float) -> Mapping["Ask", list[Answer]]:
        """Return what was answered at or after ``moment`` to each thing asked, the last to be given last."""
        with self._lock:
            found = {
                asked: [Answer(one.ids, one.first, one.last) for one in known.values() if one.last >= moment]
                for asked, known in self._answers.items()
            }
        return {asked: answers for asked, answers in found.items() if answers}


def results_of(reply: Reply) -> list[Any] | None:
    """Return the results of a search's answer, ``None`` if it is none. Null in their place: there are none."""
    data = reply.json()
    if not isinstance(data, dict) or "results" not in data:
        return None
    results = [] if data["results"] is None else data["results"]
    return results if isinstance(results, list) else None


def ids_of(reply: Reply) -> tuple[str, ...]:
    """Return the ids of a search's answer, as far as there are any."""
    items = (results_of(reply) or [])[:MAX_IDS]
    ids = (id_text(item.get("id")) for item in items if isinstance(item, dict))
    return tuple(one for one in ids if one and len(one) <= MAX_LENGTH)

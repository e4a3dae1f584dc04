"""Questions that nobody has asked before: no cache can answer them, only the index can.

A cache that outlives a restart, filled by an earlier drill or by users, answers every known question while the index
behind it is dead. So some questions are a known one behind a word that is this drill's alone, and a number. What is
found for such a text is no matter; that documents are found is.
"""

import secrets
from itertools import count

OWN_CHOICE = "if this service finds nothing for unknown words, set [smoke] new_queries = false"
EVERY = 50
"""Of so many probes one is such a question: so few that what they take longer is not the P95 of all probes."""


class Fresh:
    """Makes the new questions of one drill. May be used from several threads."""

    def __init__(self) -> None:
        self._word = secrets.token_hex(4)
        self._numbers = count(1)

    def of(self, query: str) -> str:
        """Return a new question; the word stands in front, where no reader cuts a long text."""
        return f"{self._word}-{next(self._numbers)} {query}"

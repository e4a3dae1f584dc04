"""Mutants that no test can notice, or that none should: each with its reason."""

import re

from mutation.run import Mutant

NO_BEHAVIOUR = (
    (r"^@dataclass\(", "frozen and slots forbid things; nothing that is right behaves differently without them"),
    (r"^[A-Z_]+ = ", "a measure that was chosen: one step more or less is neither right nor wrong"),
)
"""Patterns of lines whose mutants change nothing that can be seen."""

EXPLAINED: dict[str, str] = {}
"""`Mutant.key` -> why it may survive."""


def explanation(mutant: Mutant) -> str:
    """Return why a mutant may survive; empty if there is no reason."""
    for part, why in NO_BEHAVIOUR:
        if re.search(part, mutant.before):
            return why
    return EXPLAINED.get(mutant.key, "")

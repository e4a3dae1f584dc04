"""Mutants that no test can notice, or that none should: each with its reason."""

import re

from mutation.run import Mutant

NO_BEHAVIOUR = (
    (r"^@dataclass\(", "", "frozen and slots forbid things; nothing that is right behaves differently without them"),
    (r"^[A-Z_]+ = ", "", "a measure that was chosen: one step more or less is neither right nor wrong"),
    (r"^if TYPE_CHECKING:", "", "imports for typing alone"),
    (
        r"strict=True",
        r"strict=False",
        "both sides are of one length: it guards against a later mistake",
    ),
    (r"> deadline", r">= deadline", "a clock never reads just the deadline, and one poll more or less proves the same"),
)
"""Patterns of lines and of what they become (empty: anything), for mutants that change nothing that can be seen."""

EXPLAINED: dict[str, str] = {
    "drill/metrics/histogram.py latency_buckets: "
    "`if labels.items() <= have.items():` -> `if labels.items() < have.items():`": (
        "a bucket always has `le` beside the labels that are asked for"
    ),
}
"""`Mutant.key` -> why it may survive."""


def explanation(mutant: Mutant) -> str:
    """Return why a mutant may survive; empty if there is no reason."""
    for before, after, why in NO_BEHAVIOUR:
        if re.search(before, mutant.before) and re.search(after, mutant.after):
            return why
    return EXPLAINED.get(mutant.key, "")

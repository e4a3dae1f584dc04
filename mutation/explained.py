"""Mutants that no test can notice, or that none should: each with its reason."""

import re

from mutation.run import Mutant

NO_BEHAVIOUR = (
    (r"^@dataclass\(", "", "frozen and slots forbid things; nothing that is right behaves differently without them"),
    (
        r"^_?[A-Z][A-Z_]*(, [A-Z_]+)* = (?!.*\b(True|False|not|and|or)\b)[^=<>]*$",
        "",
        "a measure that was chosen: one step more or less is neither right nor wrong",
    ),
    (r"\bround\(.*, 1\)", r"\bround\(.*, [02]\)", "how many digits of a number are shown"),
    (r"= drill\.queries\[0\]$", r"= drill\.queries\[ (1|-1)\]$", "any of the drill's queries will do"),
    (r"^_FS_IOC_GETFLAGS = ", "", "the other number is that of machines whose words are of another length"),
    (r"^if TYPE_CHECKING:", "", "imports for typing alone"),
    (
        r"strict=True",
        r"strict=False",
        "both sides are of one length: it guards against a later mistake",
    ),
    (r"buffer = bytearray\(8\)", "", "the kernel writes four bytes of it, whatever its length"),
    (r"from_bytes\(buffer\[:4\]", "", "both attributes are bits of the first byte where the low one comes first"),
    (
        r"readline\(256\)",
        "",
        "as far as the kernel reads a script's first line; one more or less is cut off either way",
    ),
    (r"line\.split\(\" \", 5\)", "", "the fifth field is the same wherever the rest is cut, and no line has just six"),
    (r"< deadline", r"<= deadline", "a clock never reads just the deadline, and one poll more or less proves the same"),
    (r">= STEADY_S", r"> STEADY_S", "a clock never reads just that, and one poll more or less proves the same"),
    (r">= EFFECT_S and", r"> EFFECT_S and", "a clock never reads just that, and one look more or less proves the same"),
    (r"time\.\w+\(\)( - [^<]*)? < ", r"time\.\w+\(\)( - [^<]*)? <= ", "a clock never reads just the end of a time"),
    (r"\)\[0\] (<=|>) limit", r"\)\[0\] (<|>=) limit", "no count has just the limit as its lower bound"),
    (r"<= SURE\b", r"< SURE\b", "no number of requests makes it just that likely"),
    (r"> UNSURE:", r">= UNSURE:", "no number of requests makes it just that likely"),
    (r"start_time < moment$", r"start_time <= moment$", "no process starts at just that moment"),
    (
        r"- BOOT_SECOND_S$",
        r"start_time > written",
        "no process starts at just that moment, of clocks known to a second",
    ),
    (r"name=\"look-before\", daemon=True", "", "what it waits for is bounded; a drill only ends a little later"),
    (r"> deadline", r">= deadline", "a clock never reads just the deadline, and one poll more or less proves the same"),
)
"""Patterns of lines and of what they become (empty: anything), for mutants that change nothing that can be seen."""

EXPLAINED: dict[str, str] = {
    "drill/metrics/histogram.py latency_buckets: "
    "`if labels.items() <= have.items():` -> `if labels.items() < have.items():`": (
        "a bucket always has `le` beside the labels that are asked for"
    ),
    **{
        f"drill/checks/obeyed.py _zero: `return Reading(0.0, 0.0, started)` -> `return Reading({mutant}, started)`": (
            "when a process booted is not known, and no limit is so near"
        )
        for mutant in (" 1.0, 0.0", " -1.0, 0.0", "0.0, 1.0", "0.0, -1.0")
    },
    "drill/purge/guard.py guard: `_check_source(tenant, settings.last_accepted.get(tenant.tenant, 0))` -> "
    "`_check_source(tenant, settings.last_accepted.get(tenant.tenant, -1))`": "no count is less than none",
    "drill/checks/unknown_names.py Skips: `held_back: bool = False` -> `held_back: bool = True`": (
        "where nothing was skipped, nobody asks whether it was held back"
    ),
    **{
        f"drill/checks/retrieval_asked.py {name}: `return 0.0` -> `return {number}`": (
            "nothing is concluded of what cannot be known"
        )
        for name in ("_since", "_asked")
        for number in (1.0, -1.0)
    },
    **{
        f"drill/checks/faiss_kept.py Kept: `gone: int = 0` -> `gone: int = {number}`": (
            "shown where all tenants were compared, and there it is counted"
        )
        for number in (1, -1)
    },
    "drill/reopen/shadow.py _latency: "
    "`within = [count for bound, count in zip(buckets.bounds, buckets.counts, strict=True) if 1000 * bound <= low]` -> "
    "`within = [count for bound, count in zip(buckets.bounds, buckets.counts, strict=True) if 999 * bound <= low]`": (
        "the bounds of a histogram lie further apart than a thousandth"
    ),
    **{
        "drill/reopen/shadow.py _latency: `slower = buckets.samples - max(within, default=0.0)` -> "
        f"`slower = buckets.samples - max(within, default= {number})`": "the bucket that ends at `low` is always within"
        for number in (1.0, -1.0)
    },
}
"""`Mutant.key` -> why it may survive."""


def explanation(mutant: Mutant) -> str:
    """Return why a mutant may survive; empty if there is no reason."""
    return explanation_of_kind(mutant) or EXPLAINED.get(mutant.key, "")


def explanation_of_kind(mutant: Mutant) -> str:
    """Return why mutants of this kind may survive; empty if there is no reason for all of them."""
    fits = (
        why
        for before, after, why in NO_BEHAVIOUR
        if re.search(before, mutant.before) and re.search(after, mutant.after)
    )
    return next(fits, "")

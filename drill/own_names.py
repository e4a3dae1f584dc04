"""Metrics in the words of the service: what ``[metrics] names`` renames is said by the service's own name."""

import re
from collections.abc import Mapping

_PART = r"(?=(?:_count|_sum|_bucket)?(?!\w))"


def in_own_names(text: str, names: Mapping[str, str]) -> str:
    """Return ``text`` with every family of ``names`` (contract's name -> the service's) called as the service does."""
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{known}){_PART}", lambda found: names[found[0]], text) if known else text

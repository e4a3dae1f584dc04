"""A PromQL matcher list such as ``severity=~"critical|page",team="search"``: which rules it means, and how it is sent.

The list is parsed and written anew before it becomes part of a query, so that what is asked is what was checked.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_MATCHER = re.compile(
    r"""\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)\s*""", re.ASCII
)
_RESERVED = {"__name__", "alertstate"}
"""Labels that a query for alerts sets itself."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; a label that is not there counts as empty, as in PromQL."""

    label: str
    op: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether ``labels`` fulfil the condition."""
        value = labels.get(self.label, "")
        equal = bool(re.fullmatch(self.value, value, re.DOTALL)) if "~" in self.op else value == self.value
        return equal is not self.op.startswith("!")

    def __str__(self) -> str:
        return f"{self.label}{self.op}{quoted(self.value)}"


def quoted(text: str) -> str:
    """Return ``text`` as a PromQL string."""
    return json.dumps(text, ensure_ascii=False)


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of ``text``; raises ``ValueError`` in words that may follow "expected"."""
    found: list[Matcher] = []
    place = 0
    while match := _MATCHER.match(text, place):
        found.append(_matcher(match[1], match[2], match[3]))
        place = match.end()
        if text[place : place + 1] != ",":
            break
        place += 1
    if not found or text[place:].strip():
        raise ValueError('label matchers such as severity=~"critical|page",team="search"')
    return tuple(found)


def _matcher(label: str, op: str, literal: str) -> Matcher:
    if label in _RESERVED:
        raise ValueError(f"matchers without {label}, which the drill sets itself")
    value = literal[1:-1] if literal.startswith("`") else re.sub(r"\\(.)", _unescape, literal[1:-1])
    if "~" in op:
        try:
            re.compile(value)
        except (re.error, Warning, OverflowError, RecursionError):
            raise ValueError(f"a valid regular expression for {label}") from None
    return Matcher(label, op, value)


def _unescape(match: re.Match[str]) -> str:
    plain = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t"}.get(match[1])
    if plain is None:
        raise ValueError(r"no escapes in a value but \\, \", \', \n and \t (write a regular expression's \ as \\)")
    return plain

"""Secrets that hold what does not print: looked for whatever a writer makes of it.

A no-break space, a tab, a line feed, a mark of no width or a colour of the terminal is escaped, replaced, or left out
on its way to a terminal, to XML or into a list of lines. What prints stays as it is: so the runs of a secret that
print are looked for in their order, with anything between them that a writer can make of the rest.
"""

import re

MIN_SEEN = 5
"""Characters that must print: fewer are in every text."""
COLOURS = r"(?:\x1b|\\x1b|\#x1B)(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\\]*)"
"""Of a terminal (ECMA-48: CSI and OSC), raw and as `drill.printable` shows them."""
_BETWEEN = (
    COLOURS,
    r"\\x[0-9a-f]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-f]{8}|\\[bfnrtv0]",  # drill.printable, JSON, repr
    r"\#x[0-9A-F]{2,8}",  # pytest's JUnit XML
    r"[\x80-\xff?]",  # UTF-8 that was read as Latin-1; characters that an encoding lacks
    r"[^\w\x21-\x7e]",  # as it is: spaces, control characters, marks of no width, the replacement character
)
_GAP = f"(?:{'|'.join(_BETWEEN)}){{0,40}}"


def pattern(value: str) -> re.Pattern[str] | None:
    """Return what finds ``value`` however it was shown; ``None`` if all of it prints, and is shown as it is."""
    if value.isprintable():
        return None
    seen = re.sub(COLOURS, "\0", value)
    runs = "".join(char if char.isprintable() else " " for char in seen).split()
    return re.compile(_GAP.join(map(re.escape, runs))) if sum(map(len, runs)) >= MIN_SEEN else None

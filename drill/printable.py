"""Foreign text made fit to be shown: on one line, of bounded length, and without anything that is obeyed.

What services, databases and files say goes to terminals, to the report and to the journal. Evidence and the drill's
errors pass it through here when they are made (``drill.record``, ``drill.errors``), the terminal once more.
"""

import sys
from typing import TextIO

MAX_CHARS = 4000


def printable(text: object, limit: int = MAX_CHARS) -> str:
    r"""Return ``text`` with ``\x1b`` for what is not printable, and cut where it is longer than ``limit`` characters.

    Not printable, by ``str.isprintable``: control characters of C0 and C1, marks that turn the direction of writing and
    others that do not show, lone surrogates, line separators, and spaces other than the plain one. Printing twice
    changes nothing more.
    """
    whole = str(text)
    shown = whole[:limit]
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else _escape(char) for char in shown)
    if len(whole) <= limit and len(shown) <= limit:
        return shown
    tail = f"... (cut, {len(whole)} characters)"
    return shown[: max(0, limit - len(tail))] + tail[:limit]


def show(text: object, stream: TextIO | None = None) -> None:
    """Print one line to a terminal (standard output, if no other is given), however long: all commands do it here."""
    line = str(text)
    print(printable(line, 10 * len(line) + 1), file=stream or sys.stdout)


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

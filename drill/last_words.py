"""What a command of the configuration said last, fit to be shown: without secrets, on one line, of bounded length."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from drill.plain_file import held_directory, open_plain
from drill.printable import printable
from drill.sensitive import what_it_looks_like

if TYPE_CHECKING:
    from drill.leaks import Search

LOG = "commands.log"
SHOWN_LINES, SHOWN_CHARS = 3, 200
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Colours, cursors and titles of a terminal (ECMA-48)."""


def last_words(said: bytes, search: "Search", log: Path) -> str:
    """Return the last lines of ``said`` as a clause that can follow a problem, and keep all of them in ``log``."""
    lines = clean_lines(said.decode("utf-8", "replace"), search)
    if not lines:
        return "it said nothing"
    shown = " | ".join(printable(line, SHOWN_CHARS) for line in lines[-SHOWN_LINES:])
    where = f" (more: {LOG} beside the drill's events)" if _kept(lines, log) else ""
    return f"its last words: {shown}{where}"


def clean_lines(text: str, search: "Search") -> list[str]:
    """Return the lines of ``text`` that say something, made printable; what a line must not show is withheld."""
    plain = _ESCAPES.sub("", text)
    lines = [line.strip() for line in re.split(r"[\r\n]+", plain)]
    clean = [_clean(line, search) for line in lines if line]
    left = "\n".join(clean)
    hidden = search.in_text(f"{left}\n{left.replace(chr(10), '')}")  # one that was broken over lines
    return [f"[withheld: holds the value of {', '.join(hidden)}]"] if hidden else clean


def _clean(line: str, search: "Search") -> str:
    shown = printable(line)
    if names := search.in_text(f"{line}\n{shown}"):
        return f"[withheld: holds the value of {', '.join(names)}]"
    kind = what_it_looks_like(line)
    return f"[withheld: looks like {kind}]" if kind else shown


def _kept(lines: list[str], log: Path) -> bool:
    """Write the lines to the end of ``log``, for its owner alone; return whether that could be done."""
    with suppress(OSError):
        with held_directory(log.parent, inside=2) as folder:
            fd = open_plain(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, folder=folder)
        with os.fdopen(fd, "a", encoding="utf-8") as file:
            file.write("\n".join([*lines, ""]))
        return True
    return False

"""Texts that somebody would rather have obeyed than shown, and how to tell whether one was."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

MARKUP = "evil<script>alert(1)</script>\"'><img src=x onerror=alert(2)><svg/onload=alert(3)>"
ANSI = "evil\x1b[2J\x1b[31m\x9b31m"
LINKS = "evil\x1b]8;;http://evil.example\x07click\x1b]8;;\x07\x1b]52;c;ZXZpbA==\x07\x1bPq\x1b\\"
BELLS = "evil\x07\r\x08\x7f\t\v"
TURNED = "evil\u202egnp.exe\u2066\u200b\ufeff\u2028"
NUL = "evil\x00nul"
TEMPLATE = "evil{{ 7*191 }}{% for x in y %}${jndi:x}"
LONG = "evil" + "A" * 1_000_000
NASTY = (MARKUP, ANSI, LINKS, BELLS, TURNED, NUL, TEMPLATE, LONG)

_OWN = re.compile(r"\x1b\[[0-9;]*[mK]|\r")
"""What the drill and pytest themselves send to a terminal: colours, and clearing a line."""


def obeyed(stream: str, *, terminal: bool = False) -> list[str]:
    """Return the characters of a stream that a terminal would obey; of its own ones only on a terminal."""
    text = _OWN.sub("", stream) if terminal else stream
    return sorted({repr(char) for char in text if not char.isprintable() and char != "\n"})


class _Page(HTMLParser):
    """Gathers what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[str] = []
        self.text: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.acts += [f"<{tag} {name}>" for name, _ in attrs if name.startswith("on")]
        self.acts += [f"<{tag} {name}={value}>" for name, value in attrs if "evil" in (value or "") and name != "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside in {"script", "style"}:
            self.acts += ["code"] if "evil" in data else []
        else:
            self.text.append(data)


def acted_on(path: Path) -> tuple[list[str], str]:
    """Return what a browser would act on in a page, and the text that it shows."""
    page = _Page()
    page.feed(path.read_text("utf-8"))
    return page.acts, " ".join(page.text)


def odd_lines(path: Path) -> Iterator[str]:
    """Yield the lines of an NDJSON file that are no JSON in plain ASCII."""
    for line in path.read_bytes().removesuffix(b"\n").split(b"\n"):
        if not all(0x20 <= byte < 0x7F for byte in line) or not isinstance(json.loads(line), dict):
            yield line.decode("latin-1")

"""systemd's ``EnvironmentFile=``."""

import re
from dataclasses import dataclass, field
from enum import Enum, auto

from drill.envfile.readers.base import as_text

_BLANK, _NEWLINE = " \t\n\r", "\n\r"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _State(Enum):
    PRE_NAME = auto()
    NAME = auto()
    PRE_VALUE = auto()
    VALUE = auto()
    VALUE_ESCAPE = auto()
    SINGLE = auto()
    DOUBLE = auto()
    DOUBLE_ESCAPE = auto()
    COMMENT = auto()
    COMMENT_ESCAPE = auto()


@dataclass(slots=True)
class _Machine:
    """The state machine, one character at a time; a semicolon starts a comment too, a backslash joins lines."""

    state: _State = _State.PRE_NAME
    name: str = ""
    value: str = ""
    kept: int = 0
    """Length of the value that trailing blanks are not stripped from (what stood in quotes or was escaped)."""
    values: dict[str, str] = field(default_factory=dict)

    def push(self) -> None:
        value = self.value[: self.kept] + self.value[self.kept :].rstrip(_BLANK)
        name = self.name.rstrip(_BLANK)
        if _NAME.fullmatch(name):
            self.values[name] = value
        self.state, self.name, self.value, self.kept = _State.PRE_NAME, "", "", 0

    def keep(self, text: str, state: _State) -> None:
        self.value += text
        self.kept = len(self.value)
        self.state = state

    def feed(self, char: str) -> None:
        match self.state:
            case _State.PRE_NAME | _State.NAME:
                self._in_name(char)
            case _State.PRE_VALUE | _State.VALUE | _State.VALUE_ESCAPE:
                self._in_value(char)
            case _State.SINGLE | _State.DOUBLE | _State.DOUBLE_ESCAPE:
                self._in_quotes(char)
            case _State.COMMENT:
                if char == "\\":
                    self.state = _State.COMMENT_ESCAPE
                elif char in _NEWLINE:
                    self.state = _State.PRE_NAME
            case _State.COMMENT_ESCAPE:
                # Before version 254 a comment that ends in a backslash swallows the next line.
                self.state = _State.COMMENT

    def _in_name(self, char: str) -> None:
        if self.state is _State.PRE_NAME:
            if char in "#;":
                self.state = _State.COMMENT
            elif char not in _BLANK:
                self.state, self.name = _State.NAME, char
        elif char in _NEWLINE:
            self.state = _State.PRE_NAME
        elif char == "=":
            self.state = _State.PRE_VALUE
        else:
            self.name += char

    def _in_value(self, char: str) -> None:
        if self.state is _State.VALUE_ESCAPE:
            self.keep("" if char in _NEWLINE else char, _State.VALUE)
        elif char in _NEWLINE:
            self.push()
        elif char == "\\":
            self.state = _State.VALUE_ESCAPE
        elif self.state is _State.VALUE:
            self.value += char
        elif char in "'\"":
            self.state = _State.SINGLE if char == "'" else _State.DOUBLE
        elif char not in _BLANK:
            self.value += char
            self.state = _State.VALUE

    def _in_quotes(self, char: str) -> None:
        if self.state is _State.DOUBLE_ESCAPE:
            text = char if char in '"\\`$' else "" if char == "\n" else "\\" + char
            self.keep(text, _State.DOUBLE)
        elif char == ("'" if self.state is _State.SINGLE else '"'):
            self.state = _State.PRE_VALUE
        elif char == "\\" and self.state is _State.DOUBLE:
            self.state = _State.DOUBLE_ESCAPE
        else:
            self.keep(char, self.state)


def systemd(data: bytes) -> dict[str, str]:
    """Read as systemd does; a comment behind a value belongs to the value."""
    machine = _Machine()
    for char in as_text(data):
        machine.feed(char)
    if machine.state not in {_State.PRE_NAME, _State.NAME, _State.COMMENT, _State.COMMENT_ESCAPE}:
        machine.push()
    return machine.values

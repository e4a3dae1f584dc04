"""The shells, where an env file is a script: bash and dash with ``. file``."""

import re
from dataclasses import dataclass, field

from drill.envfile.readers.base import Unreadable

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_PARAMETER = re.compile(r"\$\{#?(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])[}:=+?#%-]")
_ANSI = re.compile(r"\$'((?:\\.|[^\\'])*)'", re.DOTALL)
_SOMETHING = re.compile(r"[^ \t\n]")
_RESERVED = frozenset(
    {
        "case",
        "do",
        "done",
        "elif",
        "else",
        "esac",
        "fi",
        "for",
        "function",
        "if",
        "select",
        "then",
        "until",
        "while",
        "{",
        "}",
    }
)


class _SyntaxError(Exception):
    """The shell stops reading here."""


@dataclass(slots=True)
class _Word:
    """One word: its text without quotes, and the length of the unquoted text at its start."""

    text: str = ""
    bare: int = 0
    quoted: bool = False

    def add(self, text: str, *, quoted: bool) -> None:
        if not quoted and not self.quoted:
            self.bare += len(text)
        self.quoted = self.quoted or quoted
        self.text += text


@dataclass(slots=True)
class _Script:
    """A scanner over simple commands. Knows quotes, joins, comments, separators; runs assignments and ``export``."""

    text: str
    is_bash: bool
    place: int = 0
    values: dict[str, str] = field(default_factory=dict)
    piped: bool = False
    """Whether this command stands behind a ``|``, in a process of its own."""

    def run(self) -> None:
        while self.place < len(self.text):
            words, end = self._command()
            lost = self.piped or end in {"&", "|"}
            self.piped = end == "|"
            if end in {"|", "&&", "||"} and not self._more():
                raise _SyntaxError
            if not lost:
                self._execute(words)

    def _more(self) -> bool:
        return _SOMETHING.search(self.text, self.place) is not None

    def _command(self) -> tuple[list[_Word], str]:
        """Take words up to the end of a command; return them and the separator."""
        words: list[_Word] = []
        redirected = False
        while True:
            self._skip_blanks()
            char = self.text[self.place : self.place + 1]
            if char in {"", "\n"}:
                self.place += 1
                return words, "\n"
            if char in ";&|":
                return words, self._separator(empty=not words and not redirected)
            if char in "<>":
                self._redirection()
                redirected = True
            elif char in "()":
                raise _SyntaxError
            else:
                words.append(self._word(array=self.is_bash))

    def _skip_blanks(self) -> None:
        while True:
            if self.text[self.place : self.place + 1] in {" ", "\t"}:
                self.place += 1
            elif self.text.startswith("\\\n", self.place):
                self.place += 2
            elif self.text.startswith("#", self.place):
                end = self.text.find("\n", self.place)
                self.place = len(self.text) if end < 0 else end
            else:
                return

    def _separator(self, *, empty: bool) -> str:
        char = self.text[self.place]
        doubled = self.text[self.place : self.place + 2] == char * 2
        self.place += 1 + doubled
        if empty or (doubled and char == ";"):
            raise _SyntaxError
        return char * 2 if doubled else char

    def _redirection(self) -> None:
        if self.text.startswith(("<<", "<(", ">("), self.place):
            raise _SyntaxError  # what follows is no longer a list of assignments
        while self.text[self.place : self.place + 1] in {"<", ">", "&", "|"}:
            self.place += 1
        self._skip_blanks()
        if self.text[self.place : self.place + 1] in {"", "\n", ";", "(", ")", "#"}:
            raise _SyntaxError
        self._word(array=False)

    def _word(self, *, array: bool) -> _Word:
        word = _Word()
        while (char := self.text[self.place : self.place + 1]) and char not in " \t\n;&|<>":
            if char == "(" and array and _ASSIGNMENT.fullmatch(word.text) and not word.quoted:
                self._balanced("(", ")")
                word.add("()", quoted=True)
            elif char in "()":
                raise _SyntaxError
            else:
                self._piece(char, word)
        return word

    def _piece(self, char: str, word: _Word) -> None:
        if char == "\\":
            if not self.text.startswith("\\\n", self.place):
                word.add(self.text[self.place + 1 : self.place + 2], quoted=True)
            self.place += 2
        elif self.is_bash and self.text.startswith("$'", self.place):
            word.add(self._ansi(), quoted=True)
        elif char == "'":
            end = self._find("'", self.place + 1)
            word.add(self.text[self.place + 1 : end], quoted=True)
            self.place = end + 1
        elif char == '"':
            word.add(self._double(), quoted=True)
        elif char == "`" or (char == "$" and self.text[self.place + 1 : self.place + 2] in {"(", "{"}):
            word.add(self._expansion(), quoted=False)
        else:
            word.add(char, quoted=False)
            self.place += 1

    def _ansi(self) -> str:
        """Take bash's ``$'...'``, in which a backslash escapes the quote."""
        match = _ANSI.match(self.text, self.place)
        if match is None:
            raise _SyntaxError
        self.place = match.end()
        return match[1]

    def _double(self) -> str:
        start = self.place
        self.place += 1
        text = ""
        while (char := self.text[self.place : self.place + 1]) != '"':
            if not char:
                self.place = start
                raise _SyntaxError
            if char == "`" or (char == "$" and self.text[self.place + 1 : self.place + 2] in {"(", "{"}):
                text += self._expansion()
                continue
            if char == "\\":
                self.place += 1
                char = self.text[self.place : self.place + 1]
                char = char if char in '"\\`$' else "" if char == "\n" else "\\" + char
            text += char
            self.place += 1
        self.place += 1
        return text

    def _expansion(self) -> str:
        """Skip a substitution; its value is unknown, which only matters if it is one of ours."""
        start = self.place
        if self.text[start] == "`":
            self.place = self._find("`", start + 1) + 1
        else:
            self.place += 1
            opening = self.text[self.place]
            self._balanced(opening, ")" if opening == "(" else "}")
        skipped = self.text[start : self.place]
        if not self.is_bash and skipped.startswith("${") and not _PARAMETER.match(skipped):
            raise _SyntaxError  # a bad substitution, which bash only complains about
        return skipped

    def _balanced(self, opening: str, closing: str) -> None:
        depth = 0
        while True:
            char = self.text[self.place : self.place + 1]
            if not char:
                raise _SyntaxError
            if char == "\\":
                self.place += 1
            elif char == "'" and opening == "(":
                self.place = self._find("'", self.place + 1)
            elif char == '"':
                self._double()
                continue
            depth += (char == opening) - (char == closing)
            self.place += 1
            if not depth:
                return

    def _find(self, char: str, start: int) -> int:
        end = self.text.find(char, start)
        if end < 0:
            raise _SyntaxError
        return end

    def _execute(self, words: list[_Word]) -> None:
        count = 0
        while count < len(words) and self._name(words[count]):
            count += 1
        if count == len(words):
            self._assign(words)
        elif count == 0 and words[0].text == "export":
            self._assign([word for word in words[1:] if self._exported(word)])
        elif words[count].text in _RESERVED and not words[count].quoted:
            raise _SyntaxError

    def _exported(self, word: _Word) -> bool:
        """Whether ``export word`` assigns; dash gives up on a name that is none."""
        if not self.is_bash and not re.match(r"[A-Za-z_][A-Za-z0-9_]*(?:=|$)", word.text):
            raise _SyntaxError
        return bool(self._name(word))

    @staticmethod
    def _name(word: _Word) -> str:
        match = _ASSIGNMENT.match(word.text)
        return match[1] if match and match.end() <= word.bare else ""

    def _assign(self, words: list[_Word]) -> None:
        for word in words:
            name = self._name(word)
            self.values[name] = word.text[len(name) + 1 :]


def bash(data: bytes) -> dict[str, str]:
    """Read as bash: at a syntax error it stops, and keeps what it has read so far."""
    script = _Script(data.decode("utf-8", "surrogateescape"), is_bash=True)
    try:
        script.run()
    except _SyntaxError:
        return script.values
    return script.values


def dash(data: bytes) -> dict[str, str]:
    """Read as dash: a syntax error ends the shell."""
    script = _Script(data.decode("utf-8", "surrogateescape"), is_bash=False)
    try:
        script.run()
    except _SyntaxError:
        raise Unreadable("a syntax error") from None
    return script.values

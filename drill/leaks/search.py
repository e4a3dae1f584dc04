"""Searching texts and files for secrets, in whatever disguise a writer puts them.

Texts are looked at in several readings (as they are, and with JSON, HTML and URL escapes undone, also one inside the
other as pytest-html nests them), so that it does not matter how a writer escapes. Base64 is looked for in its three
alignments and both alphabets, and base64 data URIs are opened. Parquet files are read column by column.
"""

from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from re import Pattern

from drill.foreign import opened
from drill.leaks import broken_up, columns
from drill.leaks.readings import readings
from drill.leaks.values import MIN_SECRET, Searched
from drill.secret import Secret

_CHUNK = 4 * 1024 * 1024
_OVERLAP = 64 * 1024


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret found in a file: which one by its name, never the value."""

    path: Path
    name: str

    def __str__(self) -> str:
        return f"{self.path.name} holds the value of {self.name}"


class Search:
    """A search for some secrets; made once, it can be used for many texts and files."""

    def __init__(self, secrets: Mapping[str, Secret], not_in_documents: Collection[str] = ()) -> None:
        """``not_in_documents`` are names of values that are not looked for in the columns of Parquet files."""
        values = {name: secret.reveal() for name, secret in secrets.items()}
        self._all = {name: Needles.of(value) for name, value in values.items() if len(value) >= MIN_SECRET}
        self._in_documents = {name: needle for name, needle in self._all.items() if name not in not_in_documents}

    @classmethod
    def of(cls, searched: Searched) -> "Search":
        """Return the search for what `secrets_of` has chosen."""
        return cls(searched.secrets, searched.not_in_documents)

    def in_text(self, text: str) -> list[str]:
        """Return the names of the secrets that are in ``text``."""
        return _names_in([text], self._all)

    def in_files(self, paths: Iterable[Path]) -> list[Leak]:
        """Return which secrets are in which files; directories are searched through.

        Memory is bounded by chunks and batches, not by files. A file that cannot be read raises ``OSError``: what was
        not searched is not clean.
        """
        return [Leak(path, name) for path in _files(paths) for name in self._in_file(path)]

    def _in_file(self, path: Path) -> list[str]:
        if not columns.is_parquet(path):
            return _names_in(_chunks(path), self._all)
        patterns = [needle.pattern for needle in self._in_documents.values()]
        pattern = "" if "" in patterns else "|".join(dict.fromkeys(patterns))
        return _names_in(columns.texts(path, pattern), self._in_documents) if patterns else []


def find_leaks(paths: Iterable[Path], secrets: Mapping[str, Secret]) -> list[Leak]:
    """Return which secrets are in which files."""
    return Search(secrets).in_files(paths)


@dataclass(frozen=True, slots=True)
class Needles:
    """What is looked for of one secret."""

    plain: str
    base64: tuple[str, ...]
    pattern: str
    """A regular expression for the texts in which it may be; empty: any."""
    broken_up: Pattern[str] | None = None
    """What finds it where not all of it prints."""

    @classmethod
    def of(cls, value: str) -> "Needles":
        """Return what is looked for of ``value``."""
        base64 = tuple(_base64_forms(value.encode("utf-8", "surrogateescape")))
        return cls(value, base64, columns.pattern_of(value, base64), broken_up.pattern(value))

    def are_in(self, text: str, read: Collection[str]) -> bool:
        """Whether they are in ``text``; ``read`` are its readings."""
        if any(self.plain in reading for reading in read) or any(form in text for form in self.base64):
            return True
        return self.broken_up is not None and any(self.broken_up.search(reading) for reading in read)


def _names_in(texts: Iterable[str], needles: Mapping[str, Needles]) -> list[str]:
    found: set[str] = set()
    for text in texts:
        read = list(readings(text))
        found |= {name for name, needle in needles.items() if name not in found and needle.are_in(text, read)}
    return [name for name in needles if name in found]


def _base64_forms(value: bytes) -> Iterator[str]:
    """Yield the part of the base64 text that is the same whatever stands before and after ``value``."""
    for shift in range(3):
        text = b64encode(b"\0" * shift + value).decode()
        start = (0, 2, 3)[shift]
        end = (shift + len(value)) * 8 // 6
        form = text[start:end]
        if len(form) >= 6:
            yield form
            if "+" in form or "/" in form:
                yield form.translate(str.maketrans("+/", "-_"))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (inner for inner in sorted(path.rglob("*")) if inner.is_file())
        else:
            yield path


def _chunks(path: Path) -> Iterator[str]:
    with opened(path) as file:
        block = file.read(_CHUNK)
        while block:
            yield block.decode("utf-8", "surrogateescape")
            more = file.read(_CHUNK)
            block = block[-_OVERLAP:] + more if more else b""

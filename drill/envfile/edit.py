"""The plan of an edit: which bytes of an env file change, and who will not see it. Pure, writes nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from drill.envfile.flags import FLAGS, KEY_NAME, check_wanted, shown
from drill.envfile.parse import NotText, Parsed, Statement, parse
from drill.envfile.sealed import is_encrypted, refusal, sealed_among, sealed_by
from drill.envfile.skipped import obstacle

MAX_BYTES = 1024 * 1024
"""Half of what Linux hands to a process at all; keeps a path given by mistake from filling the memory."""


MAX_NAME = 64
"""A longer name is none: base64 text reads as names."""


class EditVerdict(StrEnum):
    """Whether a file can be edited (DESIGN.md section 6)."""

    EDIT = "edit"
    EDIT_WITH_WARNING = "edit_with_warning"
    """Right for python-dotenv, but ``EditPlan.warnings`` names readers that will see something else."""
    REFUSE = "refuse"
    """Broken or ambiguous: the file must stay as it is."""


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One key whose value changes. ``before`` is what python-dotenv reads now, ``None`` if it is not set."""

    key: str
    before: str | None = field(repr=False)
    after: str

    def line(self) -> str:
        """Return the change in one line, showing the old value only if it is short and plain."""
        return f"{self.key}: {shown(self.before)} -> {self.after}"


@dataclass(frozen=True, slots=True)
class EditPlan:
    """What an edit would do. ``old_bytes`` and ``new_bytes`` hold the whole file with its secrets: never show them."""

    refusal: str
    """Why the file must not be edited; empty if it may be."""
    changes: tuple[FlagChange, ...]
    wanted: tuple[tuple[str, str], ...]
    old_bytes: bytes = field(repr=False)
    new_bytes: bytes = field(repr=False)

    @property
    def unchanged(self) -> bool:
        """Whether there is nothing to write."""
        return self.new_bytes == self.old_bytes

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that were asked for."""
        return tuple(key for key, _ in self.wanted)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line for each group of readers that will not see the wanted values.

        Found when first asked for: in an incident the flags need not wait for it.
        """
        return () if self.refusal else _warnings(self.new_bytes, self.wanted)

    @property
    def verdict(self) -> EditVerdict:
        """The verdict of DESIGN.md section 6; to know only about a refusal, ``refusal`` is quicker."""
        if self.refusal:
            return EditVerdict.REFUSE
        return EditVerdict.EDIT_WITH_WARNING if self.warnings else EditVerdict.EDIT

    @property
    def reason(self) -> str:
        """Why the file is refused, or a remark on it; may be empty."""
        if self.refusal or self.old_bytes.strip():
            return self.refusal
        return "the file is empty, which is also what a crash without fsync leaves"


def plan_edit(data: bytes, wanted: Mapping[str, str] = FLAGS) -> EditPlan:
    """Plan to set ``wanted`` in the env file ``data``, changing nothing but values and missing lines.

    Only the last copy of a key is changed, since it is the one that takes effect; a missing key is appended in the
    file's own line-end style. A value that is right only by way of another variable is written out. Raises
    ``ValueError`` for a key or value that cannot be written bare.
    """
    check_wanted(wanted)
    try:
        parsed = _parse_checked(data, wanted)
        new = _spliced(data, parsed, wanted)
        _prove(parsed, new, wanted)
    except _Refusal as refusal:
        return EditPlan(str(refusal), (), tuple(wanted.items()), data, data)
    return EditPlan("", _changes(parsed, wanted), tuple(wanted.items()), data, new)


class _Refusal(Exception):  # noqa: N818 - control flow of this file
    """The file must not be edited."""


def _parse_checked(data: bytes, wanted: Mapping[str, str]) -> Parsed:
    if len(data) > MAX_BYTES:
        raise _Refusal(f"it has {len(data)} bytes, an env file has at most {MAX_BYTES}")
    if tool := sealed_by(data):
        raise _Refusal(refusal(tool))
    try:
        parsed = parse(data)
    except NotText as error:
        raise _Refusal(f"it holds {error}; an env file is UTF-8 text") from None
    if tool := sealed_among(parsed.values()):
        raise _Refusal(refusal(tool))
    _check_broken(parsed, wanted)
    _check_statements(parsed, wanted)
    return parsed


def _check_broken(parsed: Parsed, wanted: Mapping[str, str]) -> None:
    """Refuse statements that do not parse, where they may set a wanted key or hide it."""
    for line, text in zip(parsed.broken, parsed.skipped, strict=True):
        if why := obstacle(text, wanted):
            raise _Refusal(f"the statement at line {line} does not parse and {why}")
    if not parsed.certain:
        raise _Refusal(f"the statement at line {parsed.broken[0]} does not parse, and its end depends on the line ends")


def _check_statements(parsed: Parsed, wanted: Mapping[str, str]) -> None:
    """Refuse a wanted key whose value is encrypted, and text that is no env file at all (another tool's cipher)."""
    effective = parsed.effective()
    for key in wanted:
        if key in effective and is_encrypted(effective[key].value):
            raise _Refusal(f"the value of {key} is encrypted; expected a plain value; set it plain with that tool")
    assigned = any((statement.value or "").strip("=") for statement in parsed.statements)
    odd = parsed.broken or any(not KEY_NAME.fullmatch(key) or len(key) > MAX_NAME for key in effective)
    if odd and not assigned and not effective.keys() & wanted.keys():
        raise _Refusal("no line of it is NAME=value; expected the service's env file, not encrypted")


def _spliced(data: bytes, parsed: Parsed, wanted: Mapping[str, str]) -> bytes:
    """Return ``data`` with the wanted values in place; from the last span to the first, so that offsets hold."""
    present = parsed.effective()
    edits = [(present[key], value) for key, value in wanted.items() if key in present]
    for statement, value in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
        if statement.value != value:
            data = _with_value(data, statement, value)
    missing = [(key, value) for key, value in wanted.items() if key not in present]
    return _appended(data, missing)


def _with_value(data: bytes, statement: Statement, value: str) -> bytes:
    return data[: statement.start] + statement.before + value.encode() + statement.after + data[statement.end :]


def _appended(data: bytes, missing: list[tuple[str, str]]) -> bytes:
    if not missing:
        return data
    newline = line_end(data)
    if data.removeprefix(b"\xef\xbb\xbf") and not data.endswith((b"\n", b"\r")):
        data += newline
    if data.rstrip(b"\r\n").endswith(b"\\") and not data.endswith(newline * 2):
        data += newline  # systemd and shells continue that line, so it must not be continued by what is appended
    return data + b"".join(f"{key}={value}".encode() + newline for key, value in missing)


def line_end(data: bytes) -> bytes:
    """Return the most frequent line end of ``data``; the last one's if there is a tie, LF if there is none."""
    crlf = data.count(b"\r\n")
    counts = {b"\r\n": crlf, b"\n": data.count(b"\n") - crlf, b"\r": data.count(b"\r") - crlf}
    most = max(counts.values())
    if not most:
        return b"\n"
    best = [end for end in counts if counts[end] == most]
    return max(best, key=lambda end: data.rfind(end) + len(end))


def _prove(parsed: Parsed, new: bytes, wanted: Mapping[str, str]) -> None:
    """Refuse unless python-dotenv reads the wanted values back from ``new`` and every other key as before."""
    expected: dict[str, str | None] = parsed.values() | dict(wanted)
    after = parse(new)
    if after.skipped != parsed.skipped or after.values() != expected:
        raise _Refusal("the edited file would not read back as wanted")


def _changes(parsed: Parsed, wanted: Mapping[str, str]) -> tuple[FlagChange, ...]:
    raw, read = parsed.values(), parsed.interpolated()
    return tuple(FlagChange(key, read.get(key), value) for key, value in wanted.items() if raw.get(key) != value)


@lru_cache(maxsize=4)
def _warnings(new: bytes, wanted: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    from drill.envfile.readers import misreadings

    parsed = parse(new)
    copies = Counter(statement.key for statement in parsed.statements)
    lines = ", ".join(str(line) for line in parsed.broken[:5])
    skipped = (f"line {lines} does not parse: left as it is; python-dotenv warns and skips it",) * bool(lines)
    doubled = tuple(
        f"{key} stands {copies[key]} times; only the last copy, which python-dotenv takes, is set"
        for key, _ in wanted
        if copies[key] > 1
    )
    return skipped + doubled + tuple(misreading.text for misreading in misreadings(new, dict(wanted)))

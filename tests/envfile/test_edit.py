"""Nasty files of our own: what changes, what stays, what is refused."""

from dataclasses import replace

import pytest

from drill.envfile import FLAGS, EditVerdict, FlagChange, plan_edit
from drill.envfile.edit import MAX_BYTES
from drill.envfile.flags import shown
from drill.envfile.readers.systemd import systemd

REST = b"FF_RETRIEVAL_SHADOW_READ=OFF\nRETRIEVAL_BACKEND=faiss\n"

EDITED = {
    "double quotes": (b'FF_RETRIEVAL_DUAL_WRITE="ON"\n', b'FF_RETRIEVAL_DUAL_WRITE="OFF"\n', "docker-run"),
    "escapes in double quotes": (
        b'FF_RETRIEVAL_DUAL_WRITE="O\\"N\\\\"\n',
        b'FF_RETRIEVAL_DUAL_WRITE="OFF"\n',
        "kubectl",
    ),
    "escaped single quote": (b"FF_RETRIEVAL_DUAL_WRITE='O\\'N'\n", b"FF_RETRIEVAL_DUAL_WRITE='OFF'\n", "kubectl"),
    "comment glued to the closing quote": (
        b"FF_RETRIEVAL_DUAL_WRITE='ON'#x\n",
        b"FF_RETRIEVAL_DUAL_WRITE='OFF'#x\n",
        "bash",
    ),
    "hash glued to the value is the value": (b"FF_RETRIEVAL_DUAL_WRITE=ON#x\n", b"FF_RETRIEVAL_DUAL_WRITE=OFF\n", ""),
    "hash as the value": (b"FF_RETRIEVAL_DUAL_WRITE=#x\n", b"FF_RETRIEVAL_DUAL_WRITE=OFF\n", ""),
    "several words": (b"FF_RETRIEVAL_DUAL_WRITE=ON or OFF\n", b"FF_RETRIEVAL_DUAL_WRITE=OFF\n", ""),
    "backticks": (b"FF_RETRIEVAL_DUAL_WRITE=`ON`\n", b"FF_RETRIEVAL_DUAL_WRITE=OFF\n", ""),
    "a value over several lines": (
        b'FF_RETRIEVAL_DUAL_WRITE="a\nb\nc" # d\n',
        b'FF_RETRIEVAL_DUAL_WRITE="OFF" # d\n',
        "systemd",
    ),
    "a quoted value with CRLF in it": (
        b'FF_RETRIEVAL_DUAL_WRITE="a\r\nb"\n',
        b'FF_RETRIEVAL_DUAL_WRITE="OFF"\n',
        "docker-run",
    ),
    "a backslash at the end of the line": (b"FF_RETRIEVAL_DUAL_WRITE=ON\\\n", b"FF_RETRIEVAL_DUAL_WRITE=OFF\n", ""),
    "a default in a reference": (b"FF_RETRIEVAL_DUAL_WRITE=${X:-ON}\n", b"FF_RETRIEVAL_DUAL_WRITE=OFF\n", ""),
    "right only by way of a variable": (
        b"X=OFF\nFF_RETRIEVAL_DUAL_WRITE=${X}\n",
        b"X=OFF\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "",
    ),
    "a quoted name": (b"'FF_RETRIEVAL_DUAL_WRITE'=ON\n", b"'FF_RETRIEVAL_DUAL_WRITE'=OFF\n", "compose-go"),
    "a bare name with a comment": (b"FF_RETRIEVAL_DUAL_WRITE # x\n", b"FF_RETRIEVAL_DUAL_WRITE=OFF # x\n", "foreman"),
    "a bare name with a glued comment": (
        b"FF_RETRIEVAL_DUAL_WRITE#x\n",
        b"FF_RETRIEVAL_DUAL_WRITE=OFF #x\n",
        "foreman",
    ),
    "an empty value with blanks behind": (
        b"FF_RETRIEVAL_DUAL_WRITE=  \n",
        b"FF_RETRIEVAL_DUAL_WRITE=OFF  \n",
        "docker-run",
    ),
    "an empty value between blanks and comment": (
        b"FF_RETRIEVAL_DUAL_WRITE = # x\n",
        b"FF_RETRIEVAL_DUAL_WRITE =OFF # x\n",
        "bash",
    ),
    "empty single quotes": (b"FF_RETRIEVAL_DUAL_WRITE=''\n", b"FF_RETRIEVAL_DUAL_WRITE='OFF'\n", "kubectl"),
    "a duplicate with export": (
        b"FF_RETRIEVAL_DUAL_WRITE=ON\nexport FF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"FF_RETRIEVAL_DUAL_WRITE=ON\nexport FF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "systemd",
    ),
    "the last copy is a bare name": (
        b"FF_RETRIEVAL_DUAL_WRITE=ON\nFF_RETRIEVAL_DUAL_WRITE\n",
        b"FF_RETRIEVAL_DUAL_WRITE=ON\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "kubectl",
    ),
    "the last copy is right already": (
        b"FF_RETRIEVAL_DUAL_WRITE=ON\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        b"FF_RETRIEVAL_DUAL_WRITE=ON\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "kubectl",
    ),
    "a name in another case behind ours": (
        b"FF_RETRIEVAL_DUAL_WRITE=ON\nff_retrieval_dual_write=ON\n",
        b"FF_RETRIEVAL_DUAL_WRITE=OFF\nff_retrieval_dual_write=ON\n",
        "pydantic-settings",
    ),
    "a continued line in front": (
        b"A=x\\\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"A=x\\\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "bash",
    ),
    "a comment ending in a backslash in front": (
        b"# x\\\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"# x\\\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "systemd",
    ),
    "an apostrophe elsewhere": (
        b"A=don't\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"A=don't\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "dash",
    ),
    "a command elsewhere": (
        b"A=$(date)\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"A=$(date)\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "compose-go",
    ),
    "parentheses elsewhere": (
        b"A=f(x)\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"A=f(x)\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "bash",
    ),
    "a dollar at the end elsewhere": (
        b"A=pa$\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"A=pa$\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "compose-go",
    ),
    "a name with a dash elsewhere": (
        b"A-B=1\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"A-B=1\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "godotenv",
    ),
    "a YAML line is a bare name with a colon": (
        b"A:\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"A:\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "node-dotenv",
    ),
    "a very long line": (
        b"A=" + b"x" * 70_000 + b"\nFF_RETRIEVAL_DUAL_WRITE=ON\n",
        b"A=" + b"x" * 70_000 + b"\nFF_RETRIEVAL_DUAL_WRITE=OFF\n",
        "docker-run",
    ),
    "a form feed in front": (b"\x0cFF_RETRIEVAL_DUAL_WRITE=ON\n", b"\x0cFF_RETRIEVAL_DUAL_WRITE=OFF\n", "bash"),
    "text of many alphabets elsewhere": (
        "A=ζ漢字🚀\nFF_RETRIEVAL_DUAL_WRITE=ON\n".encode(),
        "A=ζ漢字🚀\nFF_RETRIEVAL_DUAL_WRITE=OFF\n".encode(),
        "",
    ),
}


@pytest.mark.parametrize(("before", "after", "misreader"), EDITED.values(), ids=EDITED.keys())
def test_only_the_value_that_takes_effect_changes(before: bytes, after: bytes, misreader: str) -> None:
    """The bytes come out as marked by hand, and a reader that sees something else is named."""
    plan = plan_edit(before + REST)
    assert plan.new_bytes == after + REST
    assert misreader in " ".join(plan.warnings)
    assert plan.verdict is (EditVerdict.EDIT_WITH_WARNING if misreader else EditVerdict.EDIT)


APPENDED = {
    "CRLF": (b"A=1\r\nB=2\r\n", b"\r\n", b""),
    "CRLF without a final one": (b"A=1\r\nB=2", b"\r\n", b"\r\n"),
    "mostly CRLF": (b"A=1\r\nB=2\r\nC=3\n", b"\r\n", b""),
    "mostly LF": (b"A=1\r\nB=2\nC=3\n", b"\n", b""),
    "a tie goes to the last": (b"A=1\nB=2\r\n", b"\r\n", b""),
    "lone CR": (b"A=1\rB=2\r", b"\r", b""),
    "a single line without end": (b"A=1", b"\n", b"\n"),
    "a BOM and nothing else": (b"\xef\xbb\xbf", b"\n", b""),
    "blanks at the end": (b"A=1\n  ", b"\n", b"\n"),
    "a comment without end": (b"# x", b"\n", b"\n"),
    "blank lines only": (b"\n\n", b"\n", b""),
    "a continued line": (b"A=1 \\\n", b"\n", b"\n"),
    "a continued line without end": (b"A=1 \\", b"\n", b"\n\n"),
    "a comment that is continued": (b"# x \\\r\n", b"\r\n", b"\r\n"),
    "a vertical tab is no line end": (b"A=1\x0b", b"\n", b"\n"),
}


@pytest.mark.parametrize(("before", "end", "closing"), APPENDED.values(), ids=APPENDED.keys())
def test_missing_keys_are_appended_in_the_files_own_line_ends(before: bytes, end: bytes, closing: bytes) -> None:
    """Appended lines end like the file's, and never stick to the last line."""
    lines = b"".join(f"{key}={value}".encode() + end for key, value in FLAGS.items())
    assert plan_edit(before).new_bytes == before + closing + lines


REFUSED = {
    "open quote on our own key": (b'FF_RETRIEVAL_DUAL_WRITE="ON\n', "line 1"),
    "open single quote at the end": (b"A=1\nB='x\n", "line 2"),
    "text behind a closing quote": (b'FF_RETRIEVAL_DUAL_WRITE="ON" x\n', "line 1"),
    "quotes glued together": (b"FF_RETRIEVAL_DUAL_WRITE='O''N'\n", "line 1"),
    "a YAML value": (b"FF_RETRIEVAL_DUAL_WRITE: ON\n", "line 1"),
    "UTF-16 with a mark": ("A=1\n".encode("utf-16"), "NUL"),
    "UTF-16 without a mark": ("A=1\n".encode("utf-16-le"), "NUL"),
    "a NUL byte": (b"A=1\0\n", "NUL byte at offset 3"),
    "a torn UTF-8 character": ("A=é\n".encode()[:-2], "not UTF-8 at offset 2"),
    "a surrogate": (b"A=\xed\xa0\x80\n", "not UTF-8"),
    "larger than any env file": (b"#" * (MAX_BYTES + 1), "bytes"),
}


@pytest.mark.parametrize(("data", "hint"), REFUSED.values(), ids=REFUSED.keys())
def test_a_broken_file_is_refused_untouched(data: bytes, hint: str) -> None:
    """The plan leaves every byte and says where the file is broken."""
    plan = plan_edit(data)
    assert plan.verdict is EditVerdict.REFUSE
    assert plan.unchanged
    assert plan.changes == ()
    assert hint in plan.reason


SKIPPED = {
    "an equals sign without a name": b"=ON\n",
    "prose": b"this is text\n",
    "a PEM block without quotes": b"A=-----BEGIN CERTIFICATE-----\nMIIB x==\n-----END CERTIFICATE-----\n",
    "a continued value": b"A=1 \\\n  2 \\\n  3 4\nB=2\n",
    "a comment of systemd": b"; set by the unit, don't touch FF_RETRIEVAL_DUAL_WRITE = ON\n",
    "a command of a shell": b'set -a; . ./other.env\nif [ -n "$X" ]; then\nfi\n',
    "an export of several names": b"export FF_RETRIEVAL_DUAL_WRITE FF_RETRIEVAL_SHADOW_READ\n",
    "a YAML line of another key": b"LEVEL: info\n",
    "text behind the closing quote of another key": b'A="x" y\n',
}


@pytest.mark.parametrize("odd", SKIPPED.values(), ids=SKIPPED.keys())
@pytest.mark.parametrize("place", ["above", "below"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_line_that_python_dotenv_skips_is_left_alone_and_warned_of(odd: bytes, place: str, end: bytes) -> None:
    """Only the flags change; the line keeps its bytes, and systemd reads the flags too."""
    flags = b"FF_RETRIEVAL_DUAL_WRITE=ON\n" + REST
    before = (odd + flags if place == "above" else flags + odd).replace(b"\n", end)
    plan = plan_edit(before)
    assert plan.verdict is EditVerdict.EDIT_WITH_WARNING
    assert plan.new_bytes == before.replace(b"DUAL_WRITE=ON", b"DUAL_WRITE=OFF")
    assert "does not parse: left as it is" in plan.warnings[0]
    assert {key: systemd(plan.new_bytes).get(key) for key in FLAGS} == dict(FLAGS)


HIDDEN = {
    "a YAML value": b"FF_RETRIEVAL_DUAL_WRITE: ON\n",
    "a conditional": b'[ -z "$X" ] && FF_RETRIEVAL_DUAL_WRITE=ON\n',
    "a default of a shell": b": ${FF_RETRIEVAL_DUAL_WRITE:=ON}\n",
    "unset": b"unset FF_RETRIEVAL_DUAL_WRITE\n",
    "declare": b"declare -x FF_RETRIEVAL_DUAL_WRITE=ON\n",
    "swallowed by a quote": b'NOTE="oops\nFF_RETRIEVAL_DUAL_WRITE=ON\nTITLE="fine"\n',
    "an open quote in front": b'NOTE="oops\n',
    "an open single quote in front": b"NOTE = 'it's'\n",
}


@pytest.mark.parametrize("odd", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_line_that_may_itself_set_a_flag_or_hide_it_is_refused(odd: bytes) -> None:
    """Nobody can say what such a line makes of the flag, so the file stays, and the line is named."""
    plan = plan_edit(b"A=1\n" + odd + REST)
    assert plan.verdict is EditVerdict.REFUSE
    assert plan.unchanged
    assert "line 2" in plan.reason


def test_lone_carriage_returns_are_line_ends() -> None:
    """python-dotenv reads them so; readers that do not are named."""
    plan = plan_edit(b"A=1\rFF_RETRIEVAL_DUAL_WRITE=ON\rFF_RETRIEVAL_SHADOW_READ=ON\rRETRIEVAL_BACKEND=x\r")
    assert (
        plan.new_bytes == b"A=1\rFF_RETRIEVAL_DUAL_WRITE=OFF\rFF_RETRIEVAL_SHADOW_READ=OFF\rRETRIEVAL_BACKEND=faiss\r"
    )
    assert "bash" in " ".join(plan.warnings)


def test_the_changes_tell_before_and_after_of_what_differs_only() -> None:
    """A key that is right already is no change; the old value is the one python-dotenv reads."""
    plan = plan_edit(b"X=pgvector\nFF_RETRIEVAL_DUAL_WRITE=OFF\nRETRIEVAL_BACKEND=${X}\n")
    assert plan.changes == (
        FlagChange("FF_RETRIEVAL_SHADOW_READ", None, "OFF"),
        FlagChange("RETRIEVAL_BACKEND", "pgvector", "faiss"),
    )


def test_other_values_can_be_wanted() -> None:
    """Re-opening sets a flag to ON by the same edit."""
    plan = plan_edit(b"FF_RETRIEVAL_SHADOW_READ='OFF'\n", {"FF_RETRIEVAL_SHADOW_READ": "ON"})
    assert plan.new_bytes == b"FF_RETRIEVAL_SHADOW_READ='ON'\n"


@pytest.mark.parametrize("value", ["", "a b", "x'", "$X", "a\nb", "#x", "x" * 201])
def test_a_value_that_cannot_be_written_bare_is_a_programming_error(value: str) -> None:
    """Such a value would need quotes, which this editor never adds."""
    with pytest.raises(ValueError, match="bare"):
        plan_edit(b"", {"RETRIEVAL_BACKEND": value})


def test_an_odd_key_is_a_programming_error() -> None:
    """A key must be a plain name."""
    with pytest.raises(ValueError, match="plain names"):
        plan_edit(b"", {"A B": "x"})


def test_a_plan_shows_no_secret() -> None:
    """Neither repr nor changes hold a value of the file that is not short and plain."""
    secret = "hunter2 secret"
    plan = plan_edit(f"TOKEN={secret}\nRETRIEVAL_BACKEND='{secret}'\n".encode())
    assert secret not in repr(plan)
    assert secret not in repr(replace(plan, refusal="x"))
    assert [change.line() for change in plan.changes][-1] == "RETRIEVAL_BACKEND: <14 characters> -> faiss"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "<not set>"), ("", "<0 characters>"), ("ON", "ON"), ("a b", "<3 characters>")]
)
def test_values_are_shown_only_when_short_and_plain(value: str | None, text: str) -> None:
    """Anything else is shown by its length."""
    assert shown(value) == text

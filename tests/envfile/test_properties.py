"""Properties of the editor, over generated files."""

import io
import re
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from dotenv import dotenv_values
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drill.envfile import FLAGS, EditVerdict, EnvFile, plan_edit
from drill.envfile.parse import NotText, parse
from drill.envfile.readers import _models, _seen
from drill.envfile.readers.base import is_plain
from drill.errors import EnvFileRefused

from .support import MemoryLog

KEYS = st.sampled_from([*FLAGS, "A", "B_2", "ff_retrieval_dual_write", "X.Y", "'FF_RETRIEVAL_DUAL_WRITE'"])
VALUES = st.sampled_from(
    [
        "ON",
        "OFF",
        "faiss",
        "'ON'",
        '"ON"',
        '"a\nb"',
        "'it\\'s'",
        '"q\\"q\\\\"',
        "",
        "a b",
        "#x",
        "x#y",
        "${A}",
        "é",
        "don't",
    ]
)
LINES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "", "  ", "\t", "\xa0", "export ", " export\t", "\x0b"]),
        KEYS,
        st.sampled_from(["=", "=", "=", " = ", "\t=", "= ", ""]),
        VALUES,
        st.sampled_from(["", "", "", "  ", " # c", "\t#c", "#c", "\xa0# c"]),
        st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\n  \n", ""]),
    ),
)
SKIPPED = ["not a statement\n", "; FF_RETRIEVAL_DUAL_WRITE = ON\n", "A=1 \\\n  2 3\n", "x y\r\n", "=1\n", "B='x' y\n"]
"""What python-dotenv skips."""
NOISE = st.sampled_from(
    ["# c\n", "#FF_RETRIEVAL_DUAL_WRITE=ON\n", "\n", "   \n", "\u2028", "\x85", "\x0c\n", "---\n", "A\\\n", *SKIPPED]
)
FILES = st.builds(
    lambda bom, parts: (bom + "".join(parts)).encode(),
    st.sampled_from(["", "", "", "\ufeff", "\ufeff\ufeff"]),
    st.lists(LINES | NOISE, max_size=8),
)
PLAIN_LINES = st.sampled_from(
    [
        "A=1\n",
        "URL_2=http://u:p@h:80/x%20+,y\n",
        "# a comment (with) $all; sorts & of [things]\n",
        "\n",
        "E=\n",
        "T=~a!b*c^d?e=f==\n",
        "#\n",
        "_X=-\n",
    ]
    + [f"{key}=ON\n" for key in FLAGS]
)


def dotenv(data: bytes) -> dict[str, str | None]:
    """Read as python-dotenv does, with its own translation of line ends."""
    stream = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    return dict(dotenv_values(stream=stream, interpolate=False))


@settings(max_examples=300, deadline=None)
@given(FILES)
def test_only_spans_change_and_everything_reads_back(data: bytes) -> None:
    """python-dotenv reads the wanted values and all others as before; outside the values every byte stays."""
    plan = plan_edit(data)
    if plan.verdict is EditVerdict.REFUSE:
        assert plan.new_bytes == data
        return
    assert dotenv(plan.new_bytes) == dotenv(data) | dict(FLAGS)
    rest, place = plan.new_bytes, 0
    for statement in sorted(parse(data).effective().values(), key=lambda item: item.start):
        if statement.key not in FLAGS:
            continue
        kept = data[place : statement.start]
        assert rest.startswith(kept)
        rest, place = rest[len(kept) :], statement.end
        value = FLAGS[statement.key].encode()
        written = statement.before + value + statement.after if statement.value != value.decode() else value
        assert rest.startswith(written) or statement.value == value.decode()
        rest = rest[len(written) :] if rest.startswith(written) else rest[statement.end - statement.start :]
    assert rest.startswith(data[place:])
    appended = re.fullmatch(
        rb"(?:[\r\n]*(?:FF_RETRIEVAL_\w+|RETRIEVAL_BACKEND)=\w+[\r\n]+)*", rest[len(data[place:]) :]
    )
    assert appended is not None


@settings(max_examples=150, deadline=None)
@given(FILES)
def test_an_edit_is_idempotent(data: bytes) -> None:
    """A second edit finds nothing to change."""
    plan = plan_edit(data)
    again = plan_edit(plan.new_bytes)
    assert again.unchanged
    if plan.verdict is not EditVerdict.REFUSE:
        assert again.changes == ()
        assert again.verdict is plan.verdict


@settings(max_examples=150, deadline=None)
@given(FILES, st.sampled_from([FLAGS, {"RETRIEVAL_BACKEND": "faiss"}]))
def test_set_then_restore_is_the_identity(data: bytes, wanted: dict[str, str]) -> None:
    """Whatever the file holds, after an edit and its undoing it holds it again, to the byte."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_bytes(data)
        with EnvFile.open(path, intents=MemoryLog()) as env_file, suppress(EnvFileRefused):
            plan = env_file.plan(wanted)
            env_file.apply(plan)
            assert path.read_bytes() == plan.new_bytes
            env_file.restore()
        assert path.read_bytes() == data


@settings(max_examples=150, deadline=None)
@given(FILES, st.fixed_dictionaries({key: st.sampled_from(["ON", "OFF", "faiss", "pgvector"]) for key in FLAGS}))
def test_setting_other_values_and_the_first_ones_again_is_the_identity(data: bytes, others: dict[str, str]) -> None:
    """An edit of a file that has all keys can be undone by an edit: nothing but the values moves."""
    first = plan_edit(data)
    if first.verdict is EditVerdict.REFUSE:
        return
    there = plan_edit(first.new_bytes, others)
    assert plan_edit(there.new_bytes, FLAGS).new_bytes == first.new_bytes


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | FILES)
@example(b"\xef\xbb\xbf\xef\xbb\xbfA=1\r\rB='\r\n'\n\r")
def test_the_reading_agrees_with_python_dotenv_on_any_bytes(data: bytes) -> None:
    """Whatever the bytes, either both read the same or the text is refused; nothing crashes."""
    try:
        parsed = parse(data)
    except NotText:
        assert b"\0" in data or _not_utf8(data)
        return
    if not parsed.broken:
        assert parsed.values() == dotenv(data)
    assert plan_edit(data).verdict in EditVerdict


def _not_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False


@settings(max_examples=150, deadline=None)
@given(st.lists(PLAIN_LINES, max_size=10).map(lambda lines: "".join(lines).encode()))
def test_a_plain_file_is_misread_by_nobody(data: bytes) -> None:
    """The short cut for plain files says what all the models would say."""
    new = plan_edit(data).new_bytes
    if is_plain(new):
        assert {name: _seen(read, new, FLAGS) for name, read in _models().items() if _seen(read, new, FLAGS)} == {}
        assert plan_edit(data).verdict is EditVerdict.EDIT

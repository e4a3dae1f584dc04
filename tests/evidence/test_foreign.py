"""What an earlier drill, or somebody in its name, left is decoded within bounds: a bad item costs itself, no drill."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from drill.checks.history import last_success
from drill.envfile.inplace import Record
from drill.errors import Refused, UsageError
from drill.finish import enter_earlier, write_journal
from drill.foreign import MAX_LINE, ForeignError, count, decode, lines, moment, number, opened, read_whole
from drill.history.past import parse
from drill.journal.closing import close_unfinished
from drill.journal.entry import journal_entry
from drill.journal.log import append, has_line, journal_path
from drill.journal.read import entry_of
from drill.journal.rescue import adopt_rescued
from drill.journal.schema import schema_errors
from drill.journal.show import last_lines, table
from drill.journal.verify import verify
from drill.plans import Plan, hold, load_plan, make_plan, moved_delta, save_plan
from drill.purge.plan_file import read_plan
from drill.purge.quarantine import DamagedPart, Quarantine, read_part
from drill.purge.status import lines as status_lines
from drill.target.base import Row
from drill.unfinished import find_unfinished, purged_documents, read_events
from tests.evidence.records import ENV_ID, green, leave_events
from tests.library.world import start

DEEP = b"[" * 200_000
ID = "20251021T145000Z-3f9a1c"
START = {"seq": 0, "t": "2025-10-21T14:50:00.000Z", "kind": "start", "drill_id": ID, "operator": "alice"}
START |= {"env_file": ".env.staging", "apply": True, "notes": "", "started": "2025-10-21T14:50:00.000Z"}

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 60,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=12),
    st.sampled_from(
        [
            *(ID, "", "1e12", "2025-10-21", "2025-10-21T14:50:00Z"),
            *("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "\ud800", "\x1b[2J"),
            *("success", "start", "row", "purge_deleted", "slo.latency", 10**30, 1e12, float("inf")),
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def mutated(good: dict[str, object]) -> st.SearchStrategy[bytes]:
    """Return lines like ``good``: with values replaced, keys left out or added, cut, or bytes of any kind."""
    changed = st.dictionaries(st.sampled_from([*good]), VALUES, max_size=4)
    gone = st.sets(st.sampled_from([*good]), max_size=2)
    near = st.builds(
        lambda new, out: json.dumps({key: value for key, value in {**good, **new}.items() if key not in out}).encode(),
        changed,
        gone,
    )
    cut = st.builds(lambda line, at: line[: at % (len(line) + 1)], near, st.integers(0, 10_000))
    other = VALUES.map(lambda value: json.dumps(value).encode())
    return st.one_of(near, near, cut, other, st.binary(max_size=60), st.just(DEEP))


def journal_line(**changes: object) -> dict[str, object]:
    return {**journal_entry(green(ID)), **changes}


@pytest.fixture(scope="module")
def folder() -> "contextlib.AbstractContextManager[Path]":
    return contextlib.nullcontext(Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)))


# the decoder itself


@pytest.mark.parametrize("text", [DEEP, b"", b"\x00" * 9, b"{", b'{"a":' * 40 + b"1" + b"}" * 40, b"\xff"])
def test_what_is_no_json_or_too_deep_is_foreign(text: bytes) -> None:
    """Neither a recursion nor a decoding error escapes."""
    with pytest.raises(ForeignError):
        decode(text)


def test_numbers_that_none_of_ours_can_be_are_no_value() -> None:
    """NaN, infinities and numbers beyond 64 bits become none; what fits stays to the digit."""
    assert decode(b"[NaN, -Infinity, 1e999, 1" + b"0" * 5000 + b", 999999999999999999, 0.5]") == [
        *[None] * 4,
        999999999999999999,
        0.5,
    ]


@pytest.mark.parametrize(
    "text",
    ["2025-10-21", "2025-10-21T14:50:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "x", 7, None],
)
def test_a_date_without_a_zone_or_out_of_range_is_foreign(text: object) -> None:
    """A date with a zone is the control."""
    with pytest.raises(ForeignError):
        moment(text)
    assert moment("2025-10-21T16:50:00+02:00") == datetime(2025, 10, 21, 14, 50, tzinfo=UTC)


@pytest.mark.parametrize("value", [-1, True, 1.0, "1", None, 10**16])
def test_a_count_is_a_whole_number_within_bounds(value: object) -> None:
    """So is nothing else."""
    with pytest.raises(ForeignError):
        count(value)
    assert count(49) == 49


@pytest.mark.parametrize("value", [-0.1, True, "1", None, float("nan"), float("inf"), 1e16])
def test_a_number_is_finite_and_within_bounds(value: object) -> None:
    """So is nothing else."""
    with pytest.raises(ForeignError):
        number(value)
    assert number(0.5) == 0.5


def test_only_regular_files_are_opened_and_without_waiting(tmp_path: Path) -> None:
    """A FIFO without a writer, a directory and a device are refused at once."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match=r"regular|directory"), opened(path):
            pass


def test_a_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    """A sparse file of 3 GB is given up after the bound."""
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(ForeignError):
        read_whole(big, 1000)


def test_an_overlong_line_is_one_empty_line() -> None:
    """What follows it is read as if nothing had been."""
    file = BytesIO(b"a\n" + b"x" * (3 * MAX_LINE) + b"\nb\n" + b"y" * MAX_LINE)
    assert list(lines(file)) == [b"a", b"", b"b", b""]


# earlier drills


def put_events(artifacts: Path, name: str, data: bytes) -> Path:
    path = artifacts / "drills" / name / "events.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def event_lines(**changes: object) -> bytes:
    return json.dumps({**START, **changes}).encode() + b"\n"


BROKEN_EVENTS = {
    "bad date": event_lines(started="yesterday"),
    "no zone": event_lines(started="2025-10-21T14:50:00"),
    "date of a wrong type": event_lines(started=[1]),
    "nested": DEEP,
    "wrong types": event_lines(notes={"a": 1}),
    "binary": bytes(range(256)) * 9,
    "nul": b"\0" * 5000,
    "another drill's": event_lines(drill_id="20251021T145000Z-000000"),
    "an operator that no line may name": event_lines(operator="x" * 5000),
}


@pytest.mark.parametrize("kind", BROKEN_EVENTS)
def test_broken_events_of_an_earlier_drill_cost_themselves_and_are_named(tmp_path: Path, kind: str) -> None:
    """A killed drill beside them gets its line all the same."""
    put_events(tmp_path, ID, BROKEN_EVENTS[kind])
    put_events(tmp_path, "20261021T145000Z-aaaaaa", event_lines(drill_id="20261021T145000Z-aaaaaa"))
    named: list[str] = []
    assert [entry["drill_id"] for entry in close_unfinished(tmp_path, named)] == ["20261021T145000Z-aaaaaa"]
    assert len(named) == 1
    assert ID in named[0]
    assert verify(journal_path(tmp_path), schema=True).ok


def test_a_directory_or_a_fifo_where_events_are_expected_is_named(tmp_path: Path) -> None:
    """Neither hangs nor ends the look at the others."""
    (tmp_path / "drills" / "a" / "events.ndjson").mkdir(parents=True)
    (tmp_path / "drills" / "b").mkdir()
    os.mkfifo(tmp_path / "drills" / "b" / "events.ndjson")
    put_events(tmp_path, ID, event_lines())
    named: list[str] = []
    assert [drill.drill_id for drill in find_unfinished(tmp_path, named)] == [ID]
    assert len(named) == 2


def test_an_event_of_a_number_that_is_none_counts_for_nothing(tmp_path: Path) -> None:
    """The other batches are counted."""
    facts = [{"documents": value} for value in (5, "many", 1e12, float("inf"), -3, True, None)]
    data = b"".join(json.dumps({"seq": 1, "t": "x", "kind": "purge_deleted", **one}).encode() + b"\n" for one in facts)
    assert purged_documents(read_events(put_events(tmp_path, ID, data))) == 5


@fuzz
@given(first=mutated(START), more=st.lists(mutated({**START, "kind": "row", "id": "slo.latency"}), max_size=2))
@example(first=event_lines(started="9999-12-31T23:59:59-12:00").strip(), more=[])
def test_fuzz_events(first: bytes, more: list[bytes]) -> None:
    """Whatever the events say, what is entered is a valid line, and nothing is raised."""
    with tempfile.TemporaryDirectory() as name:
        put_events(Path(name), ID, b"\n".join([first, *more]))
        entered = close_unfinished(Path(name), [])
        assert all(schema_errors(entry) == [] for entry in entered)
        list(status_lines(Path(name)))


# the journal


def test_a_foreign_baseline_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    """1e12 ms, a text or a value that is infinite was never measured."""
    journal = tmp_path / "journal"
    for value in (83.2, 1e12, "83", float("inf"), -1):
        checks = [{"id": "post.primary_latency", "value": value}, {"id": "slo.latency", "value": 212.0}]
        line = json.dumps({**journal_line(), "checks": checks})
        with journal.open("a") as file:
            file.write(line + "\n")
    found = last_success(journal, ENV_ID)
    assert found["P95"] == 212.0
    assert found.get("P50", 83.2) == 83.2


@pytest.mark.parametrize("read", [last_lines, lambda path, _count: last_success(path, ENV_ID)])
def test_a_journal_that_is_a_directory_or_a_fifo_is_not_waited_for(
    tmp_path: Path, read: Callable[[Path, int], object]
) -> None:
    """It is an error or nothing, at once."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with contextlib.suppress(OSError):
            assert read(path, 5) == {}


def test_a_piece_of_an_overlong_line_is_no_line_of_a_drill(tmp_path: Path) -> None:
    """What is laid out to begin where a reader goes on after its bound is not taken for an entry."""
    path = tmp_path / "journal"
    line = json.dumps(journal_line()).encode()
    path.write_bytes(b"x" * MAX_LINE + line + b"\n")
    assert not has_line(path, ID)
    path.write_bytes(b"x" * MAX_LINE + b"\n" + line + b"\n")
    assert has_line(path, ID)


JOURNAL_SEED = journal_line()


@fuzz
@given(line=mutated(JOURNAL_SEED))
@example(line=json.dumps({**JOURNAL_SEED, "steps": [{"id": ["a"]}]}).encode())
@example(line=json.dumps({**JOURNAL_SEED, "duration_s": 10**400}).encode())
def test_fuzz_journal_lines(line: bytes) -> None:
    """The table, the history, the look for a drill and the baseline take any line, and print no control character."""
    parse(line)
    if entry_of(line) is not None:
        shown = "".join(table([line.decode("ascii", "replace")]))
        assert shown.isprintable()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "journal")
        path.write_bytes(line + b"\n")
        last_success(path, ENV_ID)
        has_line(path, ID)
        assert len(last_lines(path, 3)) <= 1
        verify(path, schema=True)


@fuzz
@given(line=mutated(JOURNAL_SEED))
def test_fuzz_rescued_lines(line: bytes) -> None:
    """Only a valid line of its own name is entered; any other file stays where it is."""
    with tempfile.TemporaryDirectory() as name:
        journal = Path(name, "log.ndjson")
        rescued = Path(name, f"log.{ID}.ndjson")
        leave_events(Path(name), green(ID)).close()
        rescued.write_bytes(line)
        for _ in adopt_rescued(journal):
            assert verify(journal, schema=True).ok
            assert not rescued.exists()


# plans


def a_plan() -> Plan:
    return make_plan(
        ID, ".env", b"A=1", {"A": "2"}, ["http://a"], {"orphans": 1, "stale": 0, "missing": 0}, apply=False, env_id="e"
    )


def test_a_plan_that_nothing_was_done_to_is_read(tmp_path: Path) -> None:
    """The control of what follows."""
    save_plan(tmp_path, a_plan())
    assert load_plan(tmp_path, ID) == a_plan().__class__(**json.loads((tmp_path / "plans" / f"{ID}.json").read_text()))


@fuzz
@given(data=st.data())
def test_fuzz_plans(data: st.DataObject) -> None:
    """A plan is held, refused, or damaged in one line: nothing else."""
    with tempfile.TemporaryDirectory() as name:
        path = save_plan(Path(name), a_plan())
        path.write_bytes(data.draw(mutated(json.loads(path.read_bytes()))))
        with contextlib.suppress(UsageError, Refused):
            plan = load_plan(Path(name), ID)
            moved_delta(plan, {"orphans": 5, "stale": None, "missing": 0})
            hold(plan, "e", b"A=1", {"A": "2"}, ["http://a"], 3600.0, datetime.now(UTC))


TENANT = {"tenant": "acme", "in_faiss": 5, "on_target": 6, "orphans": 1, "stale": 0, "missing": 0, "delta": "d.parquet"}
KEPT = {"schema": 1, "digest": "a" * 64, "fraction": 0.1, "tenants": [TENANT]}


@fuzz
@given(outer=mutated(KEPT), inner=mutated(TENANT), which=st.booleans())
def test_fuzz_kept_plans(outer: bytes, inner: bytes, which: bool) -> None:
    """A kept plan is whole or none; where one lies that is not whole, the list of purges says so."""
    with tempfile.TemporaryDirectory() as name:
        folder = put_events(Path(name), ID, event_lines()).parent / "plan"
        folder.mkdir()
        whole = outer if which else json.dumps({**KEPT, "tenants": []}).encode().replace(b"[]", b"[" + inner + b"]")
        (folder / "plan.json").write_bytes(whole)
        plan = read_plan(folder)
        said = "".join(status_lines(Path(name)))
        assert ("plan damaged" in said) is (plan is None)
        assert said.isprintable()


# quarantines


ROWS = [Row("a", "h1", b"\0" * 8, '{"x": 1}'), Row("b", "h2", None, "{}")]


def part_of(folder: Path, content: bytes) -> Path:
    path = folder / f"part-000001.{sha256(content).hexdigest()[:32]}.pending.parquet"
    path.write_bytes(content)
    return path


def foreign_table(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1" + b"\0" * 100 + b"PAR1",
        foreign_table(a=[1, 2]),
        foreign_table(tenant=["t"], id=[1], hash=["h"], vector=[b""], payload=["{}"]),
        foreign_table(tenant=["t", "u"], id=["a", "b"], hash=["h", "h"], vector=[b"", b""], payload=["{}", "{}"]),
        foreign_table(
            tenant=pa.array([], pa.string()),
            id=pa.array([], pa.string()),
            hash=pa.array([], pa.string()),
            vector=pa.array([], pa.binary()),
            payload=pa.array([], pa.string()),
        ),
    ],
)
def test_foreign_parquet_with_the_digest_in_its_name_is_a_damaged_part(tmp_path: Path, content: bytes) -> None:
    """It is named; nothing of it is written anywhere."""
    with pytest.raises(DamagedPart, match="part-000001"):
        read_part(part_of(tmp_path, content))


@pytest.mark.parametrize("name", ["part-.parquet", "part-1.parquet", "part-x.y.parquet", "part-\u0661\u0661.z.parquet"])
def test_a_part_of_another_name_is_damaged_and_ends_no_purge(tmp_path: Path, name: str) -> None:
    """A quarantine beside it is opened and goes on."""
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DamagedPart):
        read_part(tmp_path / name)
    quarantine = Quarantine(tmp_path)
    quarantine.open()
    part = quarantine.put("t", ROWS)
    assert read_part(part.path)[1] == ROWS


@fuzz
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_fuzz_parts(place: int, byte: int, cut: bool) -> None:
    """A part of which any byte was changed, or that was cut, under a name with its own digest: rows or damaged."""
    with tempfile.TemporaryDirectory() as name:
        quarantine = Quarantine(Path(name))
        quarantine.open()
        content = bytearray(quarantine.put("t", ROWS).path.read_bytes())
        place %= len(content)
        if cut:
            del content[place:]
        else:
            content[place] = byte
        path = part_of(Path(name), bytes(content))
        with contextlib.suppress(DamagedPart):
            part, rows = read_part(path)
            assert part.rows == len(rows)
            assert all(isinstance(row.id, str) for row in rows)


@fuzz
@given(head=mutated({"old": 3, "new": 4}), body=st.binary(max_size=9))
@example(head=b'{"old": -5, "new": 12}', body=b"abcdefg")
def test_fuzz_records_of_writes_in_place(head: bytes, body: bytes) -> None:
    """A record holds two contents of the sizes that it says, or is damaged."""
    with contextlib.suppress(ValueError):
        record = Record.decoded(head + b"\n" + body)
        assert len(record.old) + len(record.new) == len(body)
        assert record.old + record.new == body


def test_a_real_line_is_read_by_all(tmp_path: Path) -> None:
    """The control: bounds do not turn away what the drill itself writes."""
    path = journal_path(tmp_path)
    line = append(path, journal_entry(green(ID)))
    assert last_lines(path, 1) == [line]
    assert has_line(path, ID)
    assert parse(line.encode()) is not None
    assert last_success(path, ENV_ID)["P95"] == 212.0


@pytest.mark.parametrize("kind", BROKEN_EVENTS)
def test_a_drill_beside_broken_leavings_writes_its_own_line_and_names_them(tmp_path: Path, kind: str) -> None:
    """With a rescued line that is garbage and a journal of garbage, too; the result and exit code are its own."""
    started = start(tmp_path)
    artifacts = started.options.artifacts_dir
    put_events(artifacts, ID, BROKEN_EVENTS[kind])
    (artifacts / f"rollback_drill_log.{ID}.ndjson").write_bytes(DEEP)
    journal_path(artifacts).write_bytes(DEEP + b"\n" + b"\xff\n")
    passed_over = enter_earlier(started)
    assert write_journal(started).problem == ""
    assert [ID in line for line in passed_over] == [True, True]
    assert [started.record.facts[f"passed over ({number})"] for number in (1, 2)] == passed_over
    (line,) = last_lines(journal_path(artifacts), 5)
    entry = json.loads(line)
    assert (entry["drill_id"], entry["exit_code"]) == (started.record.drill_id, started.record.exit_code)


def test_a_defect_in_earlier_leavings_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: it is named by its kind, and the drill's line is written."""
    started = start(tmp_path)

    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("drill.finish.close_unfinished", broken)
    assert enter_earlier(started) == ["lines of earlier drills could not be entered (MemoryError)"]
    write_journal(started)
    assert has_line(journal_path(started.options.artifacts_dir), started.record.drill_id)

"""What was deleted can be read, is exact, and comes back."""

from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from drill.errors import CannotMeasure
from drill.purge import undo
from drill.purge.quarantine import Quarantine, part_paths, read_part
from drill.target import Row
from tests.purge.world import HOSTILE, Killed, Log, World, documents

NAN = np.array([np.nan, -0.0, 1e-45, 3.4e38, 0.1], "<f4").tobytes()
ROWS = [
    *(Row(key, "ff", NAN, '{"a": 1.10}') for key in HOSTILE),
    Row("no vector", "", None, "{}"),
    Row("0", "f", b"", ""),
]


def test_a_part_reads_back_to_the_last_bit(tmp_path: Path) -> None:
    """NaN, negative zero, denormals, no vector at all, hostile ids and tenants."""
    quarantine = Quarantine(tmp_path / "q")
    quarantine.open()
    part = quarantine.put(HOSTILE[0], ROWS)
    again, rows = read_part(part.path)
    assert rows == ROWS
    assert (again, again.tenant, again.pending) == (part, HOSTILE[0], True)


def test_a_part_is_plain_parquet_with_zstd(tmp_path: Path) -> None:
    """Anything that reads Parquet can read it, without this project."""
    quarantine = Quarantine(tmp_path / "q")
    quarantine.open()
    path = quarantine.put("a", ROWS).path
    assert parquet.read_table(path).column_names == ["tenant", "id", "hash", "vector", "payload"]
    assert parquet.ParquetFile(path).metadata.row_group(0).column(4).compression == "ZSTD"


def test_confirm_keeps_exactly_what_is_gone(tmp_path: Path) -> None:
    """All, some or none."""
    quarantine = Quarantine(tmp_path / "q")
    quarantine.open()
    for gone in (ROWS, ROWS[:2], []):
        quarantine.confirm(quarantine.put("a", ROWS), ROWS, gone)
    held = [read_part(path) for path in part_paths(quarantine.folder)]
    assert [(part.number, part.pending, rows) for part, rows in held] == [(1, False, ROWS), (2, False, ROWS[:2])]


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    """A second purge in the same directory overwrites nothing."""
    for _ in range(2):
        quarantine = Quarantine(tmp_path / "q")
        quarantine.open()
        quarantine.put("a", ROWS)
    assert len(part_paths(tmp_path / "q")) == 2


def test_a_damaged_part_is_found(tmp_path: Path) -> None:
    """One bit is enough: the name holds the digest."""
    quarantine = Quarantine(tmp_path / "q")
    quarantine.open()
    path = quarantine.put("a", ROWS).path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CannotMeasure, match="damaged"):
        read_part(path)


def test_undo_brings_back_the_same_bytes(world: World) -> None:
    """Every column of every row is as before the purge."""
    seeded = world.seed()
    world.write(dict.fromkeys(HOSTILE, "orphan"))
    before = world.dump()
    world.purge().run()
    assert world.dump() != before
    target = world.target()
    lines: list[str] = []
    report = undo(world.root / "drill" / "quarantine", target, lines.append)
    assert (report.restored, report.kept, report.failed, report.complete) == (seeded + len(HOSTILE), 0, 0, True)
    assert world.dump() == before
    assert undo(world.root / "drill" / "quarantine", target) == report
    assert world.dump() == before
    assert len(lines) == 4
    target.close()


def test_undo_leaves_newer_documents_alone(world: World) -> None:
    """Insert if absent: what was written since the purge is kept, and counted."""
    world.seed()
    world.purge().run()
    world.write({"d203": "newer"})
    target = world.target()
    report = undo(world.root / "drill" / "quarantine", target)
    assert (report.restored, report.kept, report.failed) == (11, 1, 0)
    assert world.execute("SELECT text FROM {} WHERE id = 'd203'") == [("newer",)]
    target.close()


def test_undo_of_a_killed_purge_includes_its_pending_part(world: World) -> None:
    """Before a rerun settles it, a pending part may hold documents that are gone."""
    world.seed()
    before = world.dump()
    with pytest.raises(Killed):
        world.purge(log=Log().die_at("purge_deleted", 2)).run()
    target = world.target()
    assert undo(world.root / "drill" / "quarantine", target).complete
    assert world.dump() == before
    target.close()


def test_undo_of_nothing_says_so(world: World, tmp_path: Path) -> None:
    """A wrong directory is not a success."""
    target = world.target()
    with pytest.raises(CannotMeasure, match="no parts found"):
        undo(tmp_path, target)
    target.close()


def test_documents_after_undo_are_the_delta_again(world: World) -> None:
    """The purge and its undo are inverse: the plan is the same as before."""
    world.seed()
    world.purge().run()
    target = world.target()
    undo(world.root / "drill" / "quarantine", target)
    target.close()
    purge = world.purge()
    delta = purge.plan()
    purge.close()
    assert (delta.orphans, delta.stale, delta.missing) == (5, 7, 3)
    assert set(documents(range(200))) <= world.ids()

"""Many drills at the same time: each has its one whole line, and the chain holds."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drill.journal.verify import verify
from tests.drill.harness import DEAD, ENV, Desk

PROCESSES = 8


@pytest.mark.parametrize("each", [2, pytest.param(25, marks=pytest.mark.long)])
def test_eight_at_a_time_neither_lose_nor_mix_nor_double_a_line(tmp_path: Path, each: int) -> None:
    """Half of them on one env file, which refuses all but one at a time; all with one journal."""
    codes = []
    for number in range(PROCESSES):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "service.env").write_bytes(ENV)
        (tmp_path / str(number) / "drill.toml").write_text(f'[service]\nbase_url = "{DEAD}"\nreload_timeout_s = 1\n')

    def drills(number: int) -> list[int]:
        folder = tmp_path / str(number if number % 2 else 0)
        desk = Desk(folder / "service.env", tmp_path / "artifacts", tmp_path / "reports", observe_s="1")
        return [desk.drill(timeout_s=600).code for _ in range(each)]

    with ThreadPoolExecutor(PROCESSES) as pool:
        for found in pool.map(drills, range(PROCESSES)):
            codes += found
    journal = tmp_path / "artifacts" / "rollback_drill_log.ndjson"
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len({entry["drill_id"] for entry in entries}) == len(entries) == PROCESSES * each
    assert sorted(entry["exit_code"] for entry in entries) == sorted(codes)
    assert set(codes) <= {1, 11}
    result = verify(journal, schema=True)
    assert (result.ok, result.entries, result.torn) == (True, PROCESSES * each, 0)
    assert len(list((tmp_path / "reports").glob("2*.html"))) == PROCESSES * each

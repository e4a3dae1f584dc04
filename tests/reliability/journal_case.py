"""A journal to be appended to in a fault, and what must hold of it afterwards."""

import json
from dataclasses import dataclass
from pathlib import Path

from drill.journal.entry import journal_entry
from drill.journal.log import append, dump, journal_path
from drill.journal.verify import verify
from tests.evidence.records import green, leave_events
from tests.reliability.tracing import Ended, run

TORN = b'{"timestamp": "2025-10-21T14:50:00Z", "oper'
STATES = ("new", "whole", "torn")


@dataclass(frozen=True)
class JournalCase:
    """A journal that is not there yet, holds two lines, or holds two lines and the beginning of a third."""

    home: Path
    state: str
    way: str = "append"

    @classmethod
    def make(cls, home: Path, state: str, way: str = "append") -> "JournalCase":
        """Create the journal."""
        case = cls(home, state, way)
        case.path.parent.mkdir(parents=True)
        if state != "new":
            for number in (1, 2):
                append(case.path, journal_entry(green(f"old-{number}")))
        if state == "torn":
            case.path.write_bytes(case.path.read_bytes() + TORN)
        leave_events(case.path.parent, green("first")).close()
        if way == "adopt":
            text = dump(journal_entry(green("first"))) + "\n"
            case.path.with_name(f"{case.path.stem}.first{case.path.suffix}").write_text(text)
        return case

    @property
    def path(self) -> Path:
        return journal_path(self.home / "artifacts")

    def content(self) -> bytes:
        """Return the journal's bytes, none if it is not there."""
        return self.path.read_bytes() if self.path.exists() else b""

    def arguments(self, drill_id: str = "first") -> tuple[str, ...]:
        """Return the command line of the child."""
        return ("child_append", str(self.path), drill_id, self.way)

    def check_kept(self, before: bytes) -> None:
        """The old bytes stand as they were; behind them is nothing, or a torn line's end and one whole line."""
        after = self.content()
        assert after.startswith(before), "an old line was changed"
        added = after[len(before) :].removeprefix(b"\n" if self.state == "torn" else b"")
        assert added.count(b"\n") == bool(added), f"not one line: {added!r}"
        assert not added or json.loads(added)["drill_id"] == "first"

    def check_after_error(self, ended: Ended, failed: str) -> None:
        """Success with the line in place, or one line on standard error; ``failed`` is the call that did."""
        assert ended.code in {0, 1}, f"exit {ended.code}: {ended.stderr[-300:]}"
        assert "Traceback" not in ended.stderr, ended.stderr[-600:]
        if ended.code == 1:
            assert len(ended.stderr.splitlines()) == 1, f"not one line: {ended.stderr!r}"
        elif self.way == "append":
            assert self.copies("first") == 1, "success was said without a line"
        else:
            self._check_rescued(ended, failed)

    def _check_rescued(self, ended: Ended, failed: str) -> None:
        """The entry is in one place; in two only if the journal's disk did not promise to keep it, which is said."""
        places = self.copies("first") + len(self.rescued())
        unsure = bool(self.rescued()) and "could not be written" in ended.stdout and failed == "fsync"
        assert places == 1 or (places == 2 and unsure), f"the entry is in {places} places: {ended.stdout}"

    def copies(self, drill_id: str) -> int:
        """Return how many lines of the journal are of this drill."""
        return self.content().count(f'"drill_id": "{drill_id}"'.encode())

    def rescued(self) -> list[Path]:
        """Return the entries kept outside of the journal."""
        return sorted(self.path.parent.glob("rollback_drill_log.*.ndjson"))

    def check_next_adoption(self) -> None:
        """The rescued entry is in the journal once, and its file is gone."""
        done = run("child_append", str(self.path), "-", "adopt")
        assert done.returncode == 0, done.stderr[-600:]
        assert (self.copies("first"), self.rescued()) == (1, [])

    def check_next_append(self) -> None:
        """The next append yields exactly one more valid line; the torn one is closed and counted."""
        before = self.copies("first")
        done = run("child_append", str(self.path), "next", "append")
        assert done.returncode == 0, done.stderr[-600:]
        result = verify(self.path, schema=True)
        assert result.ok, result.summary()
        assert not result.open_tail
        assert result.torn == (self.state == "torn"), result.summary()
        old = 0 if self.state == "new" else 2
        assert (self.copies("next"), result.entries) == (1, old + before + 1), result.summary()

"""An env file to be edited in a fault, and what must hold of it afterwards."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from drill.envfile.files import record_path
from drill.journal.closing import close_unfinished
from drill.journal.log import journal_path
from drill.journal.verify import verify
from drill.unfinished import find_unfinished
from tests.reliability.tracing import Ended, run

OLD = b"# service\nA=1\nFF_RETRIEVAL_DUAL_WRITE=ON\nFF_RETRIEVAL_SHADOW_READ=ON\nRETRIEVAL_BACKEND=pgvector\nZ=last\n"
NEW = b"# service\nA=1\nFF_RETRIEVAL_DUAL_WRITE=OFF\nFF_RETRIEVAL_SHADOW_READ=OFF\nRETRIEVAL_BACKEND=faiss\nZ=last\n"
OLDER = b"the backup of an earlier drill\n"
_SERVICE_USER = 4711


@dataclass(frozen=True)
class EditCase:
    """A directory with an env file of the service's user, an older backup, and room for a drill's artifacts."""

    home: Path
    way: str

    @classmethod
    def make(cls, home: Path, way: str) -> "EditCase":
        """Create it; owner and attributes differ from what a new file gets, as far as this user may set them."""
        case = cls(home, way)
        case.env_file.parent.mkdir(parents=True)
        case.env_file.write_bytes(OLD)
        case.backup.write_bytes(OLDER)
        with contextlib.suppress(OSError):
            os.setxattr(case.env_file, "user.note", b"kept")
        if os.geteuid() == 0:
            os.chown(case.env_file, _SERVICE_USER, _SERVICE_USER)
        case.env_file.chmod(0o640)
        return case

    @property
    def env_file(self) -> Path:
        return self.home / "config" / "service.env"

    @property
    def backup(self) -> Path:
        return self.env_file.with_name("service.env.bak")

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    def arguments(self, drill_id: str = "first") -> tuple[str, ...]:
        """Return the command line of the child."""
        return ("child_edit", str(self.env_file), str(self.artifacts), drill_id, self.way)

    def belongings(self) -> tuple[int, int, int, bytes]:
        """Return owner, group, mode and attribute of the env file."""
        status = self.env_file.stat()
        with contextlib.suppress(OSError):
            return status.st_uid, status.st_gid, status.st_mode, os.getxattr(self.env_file, "user.note")
        return status.st_uid, status.st_gid, status.st_mode, b""

    def check_whole(self) -> None:
        """Old or new to the byte; each backup whole, none lost, one made before a change."""
        self.check_backups(changed=self.check_content() != OLD)

    def check_content(self) -> bytes:
        """Return the file's bytes, which are the old or the new ones."""
        data = self.env_file.read_bytes() if self.env_file.exists() else b"(no file)"
        assert data in {OLD, NEW}, f"the file is neither old nor new: {data!r}"
        return data

    def check_backups(self, *, changed: bool) -> None:
        """Each backup is whole, the older one is not lost, and a changed file has one."""
        backups = [path.read_bytes() for path in self.env_file.parent.glob("*.bak")]
        assert OLDER in backups, "the backup of the earlier drill is lost"
        assert set(backups) <= {OLDER, OLD}, "a backup is not whole"
        assert not changed or OLD in backups, "the file was changed without a backup"
        assert not changed or self.backup.read_bytes() == OLD, "the newest backup is not the old file"

    def check_after_kill(self) -> None:
        """Whole, or torn by an in-place write with its record beside it; and a change was announced."""
        in_place = self.way == "mounted" and record_path(self.env_file).exists()
        if in_place:
            self.check_backups(changed=True)
        else:
            self.check_whole()
        if in_place or self.env_file.read_bytes() != OLD:
            killed = [drill for drill in find_unfinished(self.artifacts) if drill.drill_id == "first"]
            assert len(killed) == 1, "the file was changed without a start event"
            assert killed[0].flags_may_be_written, "the file was changed without an intent on the disk"

    def check_after_error(self, ended: Ended) -> None:
        """Success with the new file, or one line that is true; whole in both cases."""
        assert ended.code in {0, 1}, f"exit {ended.code}: {ended.stderr[-300:]}"
        assert "Traceback" not in ended.stderr, ended.stderr[-600:]
        self.check_whole()
        data = self.env_file.read_bytes()
        if ended.code == 0:
            assert data == NEW, "success was said of a file that is not new"
            return
        assert len(ended.stderr.splitlines()) == 1, f"not one line: {ended.stderr!r}"
        if "not written" in ended.stderr or "nothing was" in ended.stderr:
            assert data == OLD, f"the file is new, but: {ended.stderr}"

    def check_next_run(self, belongings: tuple[int, int, int, bytes]) -> None:
        """The next drill finishes the job, clears up, and every drill gets its one journal line."""
        done = run(*self.arguments("second"))
        assert done.returncode == 0, f"the next run failed: {done.stderr[-600:]}"
        assert not done.stdout, f"the next run was degraded: {done.stdout}"
        self.check_whole()
        assert self.env_file.read_bytes() == NEW, "the next run did not finish the job"
        assert self.belongings() == belongings, "owner, mode or attributes were lost"
        left = [path.name for path in self.env_file.parent.iterdir() if "drill-" in path.name]
        assert not left, f"left behind: {left}"
        self._check_journal()

    def _check_journal(self) -> None:
        found = {drill.drill_id for drill in find_unfinished(self.artifacts)}
        assert found in ({"first", "second"}, {"second"}), found
        assert {entry["drill_id"] for entry in close_unfinished(self.artifacts)} == found
        assert close_unfinished(self.artifacts) == [], "a drill was entered twice"
        result = verify(journal_path(self.artifacts), schema=True)
        assert result.ok, result.summary()
        assert result.entries == len(found), result.summary()

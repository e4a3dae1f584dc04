"""Env files that hold more than plain statements."""

from pathlib import Path
from typing import ClassVar

from sandbox.faults.hooks import Hooks, Places
from sandbox.faults.managed import Managed
from sandbox.faults.registry import oddity


class _Lines(Hooks):
    lines: ClassVar[bytes]
    """What stands in front of the file."""

    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Put the lines in front."""
        places.env_file.write_bytes(cls.lines + places.env_file.read_bytes())

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Take them away."""
        places.env_file.write_bytes(places.env_file.read_bytes().removeprefix(cls.lines))


@oddity
class EnvFileOfSystemd(_Lines):
    """The env file has ; comments, a value that is continued, and a line that is no statement."""

    lines = b"; for the unit, don't edit\nJAVA_OPTS=-Xmx1g \\\n  -server -verbose x\nnot a statement\n"


@oddity
class OwnNames(_Lines):
    """The service's own words: a reference for Prometheus, a value of dotenvx, a reference to itself."""

    lines = (
        b'PROM_QUERY_URL=op://prod/monitoring/url\nDOTENV_PUBLIC_KEY="0342"\nTOKEN="encrypted:BMCXX4QN8a8o="\n'
        b"BASE=/srv\nDATA=${BASE}/data/${MISSING:-x}\n"
    )


@oddity
class EnvTouched(Managed):
    """9 s after the boot configuration management puts its line in front of the env file; the flags stay."""

    def comes(self, env_file: Path) -> None:
        """Put the line in front."""
        self.put(env_file, b"# managed by hand and by machine\n" + env_file.read_bytes())

"""Reading the values of an env file before it is locked: the configuration needs them first."""

from pathlib import Path

from drill.envfile.files import snapshot
from drill.envfile.osops import OsLayer
from drill.envfile.parse import NotText, parse
from drill.errors import EnvFileRefused


def read_values(path: Path) -> dict[str, str | None]:
    """Return what a service reads from the file alone; ``None`` is a bare name.

    Raises `EnvFileRefused` if it is missing, not a plain file, unreadable or not text.
    """
    try:
        return parse(snapshot(OsLayer(), path).data).interpolated()
    except NotText as error:
        raise EnvFileRefused(f"{path.name} holds {error}; expected UTF-8 text; repair the file") from None

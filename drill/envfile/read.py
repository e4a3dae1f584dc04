"""Reading the values of an env file: the configuration needs them first, before it is locked."""

from pathlib import Path

from drill.envfile.files import snapshot
from drill.envfile.osops import OsLayer
from drill.envfile.parse import NotText, parse
from drill.envfile.sealed import refusal, sealed_among, sealed_by
from drill.errors import EnvFileRefused
from drill.whose import objection


def read_values(path: Path, ops: OsLayer | None = None) -> dict[str, str | None]:
    """Return what a service reads from the file alone, without the process environment; ``None`` is a bare name.

    Raises `EnvFileRefused` if it is missing, not a plain file, unreadable, not text, or encrypted or signed.
    """
    return values_of(path, snapshot(ops or OsLayer(), path).data)


def read_own_values(path: Path) -> dict[str, str | None]:
    """Return what `read_values` does, of a file that nobody but its service, root or the operator can have written."""
    found = snapshot(OsLayer(), path)
    if (why := objection(path, found.status, service=True)) is not None:
        raise EnvFileRefused(f"{path.name} is refused: {why}")
    return values_of(path, found.data)


def values_of(path: Path, data: bytes) -> dict[str, str | None]:
    """Return what `read_values` does of ``data``, the bytes of ``path``."""
    tool = sealed_by(data)
    try:
        parsed = None if tool else parse(data)
    except NotText as error:
        raise EnvFileRefused(f"{path.name} holds {error}; expected UTF-8 text; repair the file") from None
    if parsed is None or (tool := sealed_among(parsed.values())):
        raise EnvFileRefused(f"{path.name} is refused: {refusal(tool)}")
    return parsed.interpolated()

"""Reading the values of an env file: the configuration needs them first, before it is locked."""

from pathlib import Path

from drill.envfile.files import snapshot
from drill.envfile.osops import OsLayer
from drill.envfile.parse import NotText, parse
from drill.envfile.sealed import refusal, sealed_among, sealed_by
from drill.errors import EnvFileRefused


def read_values(path: Path, ops: OsLayer | None = None) -> dict[str, str | None]:
    """Return what a service reads from the file alone, without the process environment; ``None`` is a bare name.

    Raises `EnvFileRefused` if it is missing, not a plain file, unreadable, not text, or encrypted or signed.
    """
    data = snapshot(ops or OsLayer(), path).data
    tool = sealed_by(data)
    try:
        parsed = None if tool else parse(data)
    except NotText as error:
        raise EnvFileRefused(f"{path.name} holds {error}; expected UTF-8 text; repair the file") from None
    if parsed is None or (tool := sealed_among(parsed.values())):
        raise EnvFileRefused(f"{path.name} is refused: {refusal(tool)}")
    return parsed.interpolated()

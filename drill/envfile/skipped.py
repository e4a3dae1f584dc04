"""Statements that do not parse, which python-dotenv warns of and skips: which of them stand in the way of an edit."""

import re
from collections.abc import Collection

from drill.envfile.sealed import is_seal

_EXPORTED_NAMES = re.compile(r"(?:export|readonly)(?:\s+[A-Za-z_][A-Za-z0-9_]*)+")
_OPENED = re.compile(r"=\s*(['\"])")


def obstacle(text: str, keys: Collection[str]) -> str:
    """Say why the statement ``text`` keeps ``keys`` from being edited for sure; empty if it does not.

    Harmless are a comment of systemd (``;``), the rest of a value that systemd continued with a backslash, a command of
    a shell, prose. Not harmless is what may itself set one of the keys, or hide a line that does.
    """
    body = text.strip()
    if body.startswith(";"):
        return ""
    if is_seal(body):
        return "begins an encrypted or signed text; expected a plain env file"
    named = [key for key in keys if re.search(rf"(?<![A-Za-z0-9_]){re.escape(key)}(?![A-Za-z0-9_])", body)]
    if named and not _EXPORTED_NAMES.fullmatch(body):
        return f"names {', '.join(named)}: what it does to it is not sure; make it NAME=value or a comment"
    opened = _OPENED.search(body)
    if opened is not None and body.count(opened[1]) % 2:
        return "opens a quote that it does not close: readers disagree on everything behind it"
    return ""

"""Who drills and why: a handle and a reason that can stand in a journal."""

import os
import pwd
import re
from collections.abc import Mapping

from drill.errors import UsageError
from drill.sensitive import what_it_looks_like

HANDLE = re.compile(r"[A-Za-z0-9._-]{1,32}")
MAX_REASON = 120
DEFAULT_REASON = "drill"
_WIDE_SPACES = str.maketrans("\u00a0\u202f", "  ")


def operator_handle(option: str | None, environ: Mapping[str, str]) -> str:
    """Return the operator: ``--operator``, else ``$DRILL_OPERATOR``, else the login name.

    Raises ``UsageError`` if it is not a handle; what was given is never echoed: it may be an address or a token.
    """
    source, name = _named(option, environ)
    if not HANDLE.fullmatch(name):
        raise UsageError(
            f"{source} is not a handle (not shown: it may be personal data); "
            "give --operator 1 to 32 letters, digits, '.', '_' or '-', never an e-mail address"
        )
    if looks_like := what_it_looks_like(name):
        raise UsageError(f"{source} looks like {looks_like} (not shown); give a handle such as a login name")
    return name


def _named(option: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    if option is not None:
        return "--operator", option
    if name := environ.get("DRILL_OPERATOR"):
        return "$DRILL_OPERATOR", name
    return "the login name", environ.get("LOGNAME") or environ.get("USER") or _account()


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def reason_text(text: str | None) -> str:
    """Return the reason as it goes into ``notes``; nothing or only spaces gives ``drill``.

    Raises ``UsageError``, without echoing the text, if it is longer than 120 characters, has control characters or
    looks like personal data or a secret (see ``drill.sensitive``).
    """
    reason = (text or "").translate(_WIDE_SPACES).strip()
    if not reason:
        return DEFAULT_REASON
    if len(reason) > MAX_REASON:
        raise UsageError(
            f"--reason has {len(reason)} characters, at most {MAX_REASON} are kept; give a ticket or purpose"
        )
    if not reason.isprintable():
        raise UsageError("--reason has line breaks or control characters (not shown); give one line of plain text")
    if looks_like := what_it_looks_like(reason):
        raise UsageError(
            f"--reason looks like it holds {looks_like} (not shown); "
            "give a ticket or purpose without personal data or secrets"
        )
    return reason

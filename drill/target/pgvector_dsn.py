"""A service's database URL in the words of libpq: services keep it as asyncpg, SQLAlchemy, JDBC or Prisma read it.

What only tunes their driver is left out. TLS is never less than was asked for: what cannot be translated is refused.
"""

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode

from drill.errors import TargetUnavailable

URL = re.compile(
    r"(?P<jdbc>jdbc:)?postgres(?:ql)?(?:\+\w+)?://(?:(?P<user>[^/?]*)@)?(?P<hosts>[^/?]*)(?P<path>/[^?]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""From the least to the most, as libpq has them."""
ON, OFF = ("true", "1", "on", "yes"), ("false", "0", "off", "no")
SPELLED = {**dict.fromkeys(ON, "require"), **dict.fromkeys(OFF, "disable"), "no-verify": "require"}
"""``ssl=true`` is what libpq itself makes of it; JDBC verifies."""
SCHEMAS = ("search_path", "currentSchema", "schema")
SECURES = re.compile(r"ssl|tls|gss|krb|auth|channel|cert", re.IGNORECASE)
"""What such a parameter asks for is not known, and may be more than would be given."""


@dataclass(frozen=True, slots=True)
class Dsn:
    """``conninfo`` for libpq; ``search_path`` to be set in each transaction, since poolers refuse it at start-up."""

    conninfo: str
    search_path: str = ""


def read_dsn(dsn: str) -> Dsn:
    """Return ``dsn`` as libpq takes it; one that is no such URL as it is. Raises TargetUnavailable."""
    found = URL.fullmatch(dsn.strip())
    if found is None:
        return Dsn(dsn)
    kept: dict[str, list[str]] = {}
    modes: list[str] = []
    search_path = ""
    for name, value in parse_qsl((found["query"] or "").replace("+", "%2B"), keep_blank_values=True):
        if name in ("ssl", "sslmode"):
            modes.append(_mode(value, jdbc=bool(found["jdbc"])))
        elif name in _known():
            kept.setdefault(name, []).append(value)
        elif name in SCHEMAS or name == "server_settings":
            search_path = _search_path(name, value) or search_path
        elif SECURES.search(name):
            raise _untranslated(name)
    query = {name: values[-1] for name, values in kept.items()} | _hosts(kept)
    if modes:
        query["sslmode"] = max(modes, key=MODES.index)
    user = "".join(f"{':'.join(_encoded(part) for part in found['user'].split(':', 1))}@") if found["user"] else ""
    tail = f"?{urlencode(query, quote_via=quote)}" if query else ""
    return Dsn(f"postgresql://{user}{found['hosts']}{found['path'] or ''}{tail}", search_path)


def _mode(value: str, *, jdbc: bool) -> str:
    if jdbc and value.lower() in ON:
        return "verify-full"
    mode = SPELLED.get(value.lower(), value.lower())
    if mode not in MODES:
        raise TargetUnavailable(
            f"target pgvector: its DSN asks for an unknown sslmode; expected one of {', '.join(MODES)}, correct it"
        )
    return mode


def _hosts(kept: dict[str, list[str]]) -> dict[str, str]:
    """Return ``host`` and ``port`` of several hosts, which SQLAlchemy names one by one as ``host=name:port``."""
    named = [part for value in kept.get("host", []) for part in value.split(",")]
    split = [re.fullmatch(r"(.*?)(?::(\d+))?", one) for one in named]
    if len(named) < 2 and not any(one and one[2] for one in split):
        return {}
    hosts = ",".join(one[1] for one in split if one)
    ports = ",".join(one[2] or "" for one in split if one)
    return {"host": hosts, **({"port": ports} if ports.strip(",") else {})}


def _search_path(name: str, value: str) -> str:
    if name != "server_settings":
        return value
    try:
        settings = json.loads(value)
    except ValueError:
        return ""
    return str(settings.get("search_path", "")) if isinstance(settings, dict) else ""


def _encoded(part: str) -> str:
    """Encode what some drivers take as it is, an ``@`` in a password, say."""
    return quote(unquote(part), safe="")


def _known() -> frozenset[str]:
    from psycopg import pq

    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def _untranslated(name: str) -> TargetUnavailable:
    return TargetUnavailable(
        f"target pgvector: its DSN asks for {name!r}, which libpq does not know; expected sslmode, sslrootcert and the "
        "like, give the drill a DSN of its own in [target] dsn_env"
    )

"""Which values are secrets: told by the name of the key, by what stands in the value, and by what everybody knows.

A search that cries wolf is switched off. So what is a word of the drill's own, in its published source, is not searched
for (a password ``faiss`` cannot be told from the report's ``faiss``), and the report says how many were passed over.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from drill.secret import Secret

MIN_SECRET = 5
"""Shorter values are in every text; a secret of four characters is none."""
MIN_OTHER = 8
"""The same for values whose key does not say that they are secret, and for parts of a value."""
MIN_LINE = 16
"""The same for a line of a value of several lines."""

_SECRET_KEY = re.compile(
    r"PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|SALT|COOKIE|SIGNATURE|WEBHOOK|APIKEY"
    r"|(?:^|[_-])(?:PWD|PW|DSN|AUTH|KEY|PIN|SIG)(?:[_-]|$)|KEY$",
    re.IGNORECASE,
)
_COMMON = re.compile(
    r"""(?xi) true | false | yes | no | on | off | none | null
      | [+-]?[\d.,:]{1,12}\ ?(?:ms|s|m|h|d|%|[kmgt]i?b)?        # numbers, versions, durations, sizes
      | [a-z]+ (?:[ ._/-][a-z]+){0,3} \d{0,2}                 # words: staging, retrieval-service, us_east1
      | \.{0,2}(?:/[a-z0-9._-]+)+/?                           # paths
      | (?:https?|redis)://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?/?"""
)
_WRITTEN = re.compile(
    r"""(?xi) https?://[^\s/?\#@]+ [^\s?\#@]*                   # an address of the web, without login and query
      | [\w.+%-]+@[\w-]+(?:\.[\w-]+)+                         # an e-mail address
      | [\w-]+(?:\.[\w-]+)+ (?::\d+)?                         # a host
      | [^\W\d_][\w'.,;:!?/-]* (?:\ [\w'.,;:!?/-]+)+"""  # a sentence
)
"""What people write in documents: in a quarantine it is the document's own, not a leak of the env file."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The values to search for, by the name to report them under."""

    secrets: Mapping[str, Secret]
    not_in_documents: frozenset[str] = frozenset()
    """Names of values that documents may well hold by themselves."""
    passed_over: int = 0
    """How many values of secret keys are too short or too common to be searched for."""


def secrets_of(
    env: Mapping[str, str | None], shown: Collection[str] = (), configured: Mapping[str, str] | None = None
) -> Searched:
    """Return the values of an env file, and the ``configured`` secrets, that no artifact may hold.

    Under a key that says secret (password, token, key, DSN ...), and configured: every value of at least ``MIN_SECRET``
    characters, and what a part of it gives away: the login in a URL or DSN, a token in a query, the lines of a PEM
    file, the secret fields of a JSON text. Under any other key: values of at least ``MIN_OTHER`` characters that are
    not plain configuration (numbers, words, paths, loopback URLs) and no part of what is ``shown`` on purpose.
    Whatever the key: a URL or DSN with a login in it.
    """
    found: dict[str, Secret] = {}
    written: set[str] = set()
    passed_over = 0
    for key, value in env.items():
        if value and key not in (configured or {}) and _is_other(key, value, shown):
            found[key] = Secret(value)
            written |= {key} if _WRITTEN.fullmatch(value) else set()
    keys = {key: value for key, value in env.items() if value and (_names_secret(key, value) or _login(value))}
    for key, value in {**keys, **(configured or {})}.items():
        parts = {f"{key} ({part})": text for part, text in _parts(value)}
        for name, text in {key: value, **parts}.items():
            if _can_be_told(text, shown):
                found[name] = Secret(text)
                written.discard(name)
            elif name == key:
                passed_over += 1
    return Searched(found, frozenset(written), passed_over)


def _names_secret(key: str, value: str) -> bool:
    """Whether the key says secret. ``AUTH_TOKEN_ENV`` names a variable, ``TOKEN_TTL_S=3600`` is a number."""
    if key.upper().endswith("_ENV") or value.endswith((".pem", ".crt")) or (value.isdigit() and len(value) < 6):
        return False
    return _SECRET_KEY.search(key) is not None


def _is_other(key: str, value: str, shown: Collection[str]) -> bool:
    if _names_secret(key, value) or len(value) < MIN_OTHER or _COMMON.fullmatch(value):
        return False
    return not any(value in text for text in shown) and value not in _own_text()


def _can_be_told(value: str, shown: Collection[str]) -> bool:
    """Whether a hit would mean something: not where the drill writes that very word for reasons of its own."""
    word = value.isascii() and (value.isalpha() or value.isdigit())
    if len(value) < MIN_SECRET or (word and any(value in text for text in shown)):
        return False
    return value not in _own_text()


def _parts(value: str) -> Iterator[tuple[str, str]]:
    """Yield what of a secret value is a secret by itself, with what it is."""
    if login := _login(value):
        yield "its password", login
    if url := _url(value):
        yield from (("its query", text) for name, text in parse_qsl(url.query) if _SECRET_KEY.search(name))
    if value.lstrip().startswith("{"):
        yield from (("a field", text) for text in _fields(value) if len(text) >= MIN_OTHER)
    lines = [line.strip() for text in (value, *_fields(value)) for line in text.splitlines() if "\n" in text.strip()]
    for number, line in enumerate(lines, 1):
        if len(line) >= MIN_LINE and not line.startswith("-----"):
            yield f"line {number}", line


def _login(value: str) -> str:
    """Return the password in a URL or in a ``key=value`` DSN, or the token in its place; empty if there is none."""
    if match := re.search(r"(?i)\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))", value):
        return match[1] or match[2] or ""
    url = _url(value)
    if url is None:
        return ""
    token = url.username if url.password is None and len(url.username or "") >= MIN_LINE else ""
    return unquote(url.password or token or "")


def _url(value: str) -> SplitResult | None:
    if "://" not in value:
        return None
    try:
        return urlsplit(value)
    except ValueError:
        return None


def _fields(value: str) -> list[str]:
    """Return the texts under secret names in a JSON object."""
    try:
        data = json.loads(value) if value.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return []
    return list(_texts(data))


def _texts(data: object) -> Iterator[str]:
    for key, item in data.items() if isinstance(data, dict) else ():
        if isinstance(item, str) and _SECRET_KEY.search(key):
            yield item
        elif isinstance(item, dict):
            yield from _texts(item)


@cache
def _own_text() -> str:
    """Return all that the drill writes by itself: its sources and texts, and those of the report's frame."""
    root = Path(__file__).parents[2]
    html = find_spec("pytest_html")
    frame = Path(html.origin).parent / "resources" if html and html.origin else None
    folders = [root / "drill", root / "drill_tests", root / "fixtures", *([frame] if frame else [])]
    kinds: Callable[[Path], bool] = lambda path: path.suffix in {".py", ".jinja", ".jinja2", ".css", ".js", ".json"}  # noqa: E731
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if kinds(path))
    return "\n".join(path.read_text("utf-8", "replace") for path in files)

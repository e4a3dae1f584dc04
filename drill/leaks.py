"""The last look at everything a drill has written: no secret may be in it, in whatever disguise.

Artifacts are read in chunks and looked at in several readings (as they are, and with JSON, HTML and URL escapes
undone, also one inside the other as pytest-html nests them), so that it does not matter how a writer escapes.
Base64 is looked for in its three alignments and both alphabets, and base64 data URIs are opened.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import unquote, unquote_plus, urlsplit

from drill.secret import Secret

MIN_SECRET = 4
"""Shorter values are in every text; a secret of three characters is none."""
MIN_OTHER = 8
"""The same for values whose key does not say that they are secret."""

_CHUNK = 4 * 1024 * 1024
_OVERLAP = 64 * 1024

_SECRET_KEY = re.compile(
    r"PASS|SECRET|TOKEN|CREDENTIAL|PRIVATE|SALT|COOKIE|SIGNATURE|WEBHOOK|(?:^|_)(?:PWD|PW|DSN|AUTH|KEY|PIN)(?:_|$)|KEY$",
    re.IGNORECASE,
)
_COMMON = re.compile(
    r"""(?xi) true | false | yes | no | on | off | none | null
      | [+-]?[\d.,:]{1,12}\ ?(?:ms|s|m|h|d|%|[kmgt]i?b)?        # numbers, versions, durations, sizes
      | [a-z]+ (?:[ ._/-][a-z]+){0,3} \d{0,2}                 # words: staging, retrieval-service, us_east1
      | \.{0,2}(?:/[a-z0-9._-]+)+/?                           # paths
      | (?:https?|redis)://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?/?"""
)
_COMMON_SECRETS = frozenset(
    {"true", "false", "none", "null", "test", "changeme", "bearer", "basic", "default", "password"}
)


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret found in a file: which one by its name, never the value."""

    path: Path
    name: str

    def __str__(self) -> str:
        return f"{self.path.name} holds the value of {self.name}"


def secrets_of(env: Mapping[str, str | None], allowed: Collection[str] = ()) -> dict[str, Secret]:
    """Return the values of an env file that no artifact may hold, by the name to report them under.

    Under a key that says secret (password, token, key, DSN ...) every value of at least ``MIN_SECRET`` characters;
    of a URL with a login also the password alone. Under any other key, values of at least ``MIN_OTHER`` characters
    that are not plain configuration: numbers, words, paths, loopback URLs. ``allowed`` are values that the report
    shows on purpose (the flags, the instances' URLs); a value with a login in it is never allowed.
    """
    found: dict[str, Secret] = {}
    for key, value in env.items():
        if value is None:
            continue
        password = _password(value)
        if password or (value not in allowed and _is_secret(key, value)):
            found[key] = Secret(value)
        if len(password) >= MIN_SECRET:
            found[f"{key} (its password)"] = Secret(password)
    return found


def _is_secret(key: str, value: str) -> bool:
    if _SECRET_KEY.search(key):
        return len(value) >= MIN_SECRET and value.lower() not in _COMMON_SECRETS and not _is_name(key, value)
    return len(value) >= MIN_OTHER and not _COMMON.fullmatch(value)


def _is_name(key: str, value: str) -> bool:
    """``AUTH_TOKEN_ENV=SERVICE_TOKEN`` names a variable, ``TOKEN_TTL_S=3600`` a number: neither is a secret."""
    return key.upper().endswith("_ENV") or (value.isdigit() and len(value) < 6) or value.endswith((".pem", ".crt"))


def _password(value: str) -> str:
    """Return the password in a URL or in a ``key=value`` DSN; empty if there is none."""
    if match := re.search(r"(?i)\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))", value):
        return match[1] or match[2] or ""
    if "://" not in value or "@" not in value:
        return ""
    try:
        return unquote(urlsplit(value).password or "")
    except ValueError:
        return ""


def find_leaks(paths: Iterable[Path], secrets: Mapping[str, Secret]) -> list[Leak]:
    """Return which secrets are in which files; directories are searched through.

    About 1 ms per secret and MB; memory is bounded by the chunk, not by the file. A file that cannot be read raises
    ``OSError``: what was not searched is not clean.
    """
    needles = {
        name: _needles(secret.reveal()) for name, secret in secrets.items() if len(secret.reveal()) >= MIN_SECRET
    }
    return [Leak(path, name) for path in _files(paths) for name in _names_in(path, needles)]


@dataclass(frozen=True, slots=True)
class _Needles:
    plain: str
    base64: tuple[str, ...]


def _needles(value: str) -> _Needles:
    return _Needles(value, tuple(_base64_forms(value.encode("utf-8", "surrogateescape"))))


def _base64_forms(value: bytes) -> Iterator[str]:
    """Yield the part of the base64 text that is the same whatever stands before and after ``value``."""
    for shift in range(3):
        text = b64encode(b"\0" * shift + value).decode()
        start = (0, 2, 3)[shift]
        end = (shift + len(value)) * 8 // 6
        form = text[start:end]
        if len(form) >= 6:
            yield form
            if "+" in form or "/" in form:
                yield form.translate(str.maketrans("+/", "-_"))


def _names_in(path: Path, needles: Mapping[str, _Needles]) -> list[str]:
    found: set[str] = set()
    for chunk in _chunks(path):
        for text in _readings(chunk):
            found |= {name for name, needle in needles.items() if name not in found and needle.plain in text}
        found |= {name for name, needle in needles.items() if any(form in chunk for form in needle.base64)}
    return [name for name in needles if name in found]


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (inner for inner in sorted(path.rglob("*")) if inner.is_file())
        else:
            yield path


def _chunks(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        block = file.read(_CHUNK)
        while block:
            yield block.decode("utf-8", "surrogateescape")
            more = file.read(_CHUNK)
            block = block[-_OVERLAP:] + more if more else b""


def _readings(text: str) -> Iterator[str]:
    """Yield ``text`` as each reader down the line would see it, without repeats."""
    seen: set[str] = set()
    for pipeline in _PIPELINES:
        reading = text
        for undo in pipeline:
            reading = undo(reading)
        if reading not in seen:
            seen.add(reading)
            yield reading
    for payload in _data_uris(text):
        yield from (reading for undo in (_same, unescape, _unescape_json) if (reading := undo(payload)))


def _data_uris(text: str) -> Iterator[str]:
    for match in re.finditer(r"data:[\w.+/-]*(?:;[\w=.-]+)*;base64,([A-Za-z0-9+/_=-]{8,})", text):
        payload = match[1].replace("-", "+").replace("_", "/").rstrip("=")
        payload = payload[: len(payload) - (len(payload) % 4 == 1)]
        yield b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8", "surrogateescape")


_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_JSON_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unescape_json(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _JSON_ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _JSON_SHORT[match[2]], text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if "\\u" in text else plain


def _unescape_url(text: str) -> str:
    return unquote(text) if "%" in text else text


def _unescape_form(text: str) -> str:
    return unquote_plus(text) if "+" in text or "%" in text else text


def _same(text: str) -> str:
    return text


_PIPELINES: tuple[tuple[Callable[[str], str], ...], ...] = (
    (),
    (_unescape_json,),
    (unescape,),
    (unescape, _unescape_json),
    (unescape, _unescape_json, unescape),
    (_unescape_url,),
    (_unescape_form,),
    (_unescape_json, _unescape_url),
    (_unescape_json, unescape),
    (unescape, _unescape_url),
    (unescape, _unescape_json, unescape, _unescape_url),
)

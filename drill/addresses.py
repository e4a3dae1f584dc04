"""When two URLs, however they are written, lead to one address."""

import ipaddress
import posixpath
import socket
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

LOOPBACK = {"127.0.0.1", "::1", "0.0.0.0", "::"}  # noqa: S104 - compared with, never listened on
"""What a machine calls itself by number; a client that connects to no address at all connects to it, too."""


def endpoint(url: str) -> tuple[str, int]:
    """Return host and port of ``url`` in the one form that all ways of writing them share.

    Case, a dot at the end, a port that is the scheme's own, forms of IPv4 and IPv6, names that are not ASCII, and
    ``localhost`` make no difference. Raises ``ValueError`` if there is no host or no such port.
    """
    parts = urlsplit(url)
    return _host(parts.hostname or ""), parts.port or (443 if parts.scheme == "https" else 80)


def same(urls: Sequence[str], *, paths: bool) -> tuple[int, int] | None:
    """Return the places in ``urls`` of two that lead to one address; with ``paths``, to one path there as well."""
    seen: dict[tuple[str, int, str], int] = {}
    for place, url in enumerate(urls):
        path = posixpath.normpath("/" + unquote(urlsplit(url).path).strip("/")) if paths else ""
        if (earlier := seen.setdefault((*endpoint(url), path), place)) != place:
            return earlier, place
    return None


def _host(name: str) -> str:
    name = name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return "localhost"
    try:
        number = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return _old_form(name) or _ascii(name)
    number = getattr(number, "ipv4_mapped", None) or number
    return "localhost" if str(number) in LOOPBACK else str(number)


def _old_form(name: str) -> str:
    """Return the address that ``127.1``, ``0x7f000001`` and the like mean to a resolver; empty for a name."""
    if not name or not set(name) <= set("0123456789abcdefx."):
        return ""
    try:
        number = socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return ""
    return "localhost" if number in LOOPBACK else number


def _ascii(name: str) -> str:
    try:
        return name.encode("idna").decode().lower()
    except UnicodeError:
        return name

"""Redirects that are followed: those that change nothing but the slash at the end of the path.

Routers answer so when a path is configured without the slash that it has there. Every other redirect is the answer
itself: it may lead to a login page, or take the token to another host.
"""

from urllib.parse import urljoin, urlsplit

from drill.addresses import endpoint

KEEPS_METHOD = frozenset({307, 308})
MAY_CHANGE_METHOD = frozenset({301, 302})
"""Clients make a GET of anything else that is redirected so."""


def slash_only(method: str, url: str, status: int, location: str) -> str:
    """Return ``url`` with or without the slash, if that is where the redirect leads; empty if it is not.

    Nothing but the slash is taken from ``location``: scheme, host, port and query stay those of ``url``.
    """
    if status not in KEEPS_METHOD and not (method in {"GET", "HEAD"} and status in MAY_CHANGE_METHOD):
        return ""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
        stays = (here.scheme, endpoint(url), here.query) == (there.scheme, endpoint(there.geturl()), there.query)
    except ValueError:
        return ""
    if not stays or f"{min(here.path, there.path, key=len)}/" != max(here.path, there.path, key=len):
        return ""
    return here._replace(path=there.path).geturl()

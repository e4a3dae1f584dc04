"""Tokens that variables hold: whether there is one to send, and what to do where it was not accepted."""


def sendable(value: str) -> str:
    """Return the token as a header can carry it; empty if there is none, or none that can be sent."""
    token = value.strip()
    return token if token.isascii() and token.isprintable() else ""


def missing(key: str, name: str, value: str) -> str:
    """Return why the token that ``key`` asks for is not there to be sent; empty if it is, or if none is asked for.

    ``key`` is the key of the configuration, ``name`` the variable that it names, ``value`` what that holds.
    """
    if not name or sendable(value):
        return ""
    what = "holds characters that no HTTP header can carry" if value.strip() else "is empty or not set"
    return f"{key} names {name}, which {what}; set it in the environment of the drill or in the env file"


def unauthorized(key: str, name: str, value: str) -> str:
    """Return what to do about an answer that wants to know who asks (401, 403)."""
    if not name:
        return f"no token is configured; set {key} to the variable that holds it"
    return missing(key, name, value) or f"check the token that {key} names ({name})"

"""How a target is reached: URL, credentials and authorities, resolved from the configuration at the last moment."""

import logging
import os
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from drill.errors import CannotMeasure
from drill.secret import Secret
from drill.target.failure import asking
from drill.target.settings import RemoteTarget

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An http or https address without what stood before its ``@``, which is in ``username`` and ``password``."""

    scheme: str
    host: str
    port: int
    path: str = ""
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))

    @property
    def secure(self) -> bool:
        """Whether it is reached by TLS."""
        return self.scheme == "https"

    @property
    def url(self) -> str:
        """The address, without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


class Access:
    """The values behind the configuration's ``*_env`` keys. ``values`` is the environment that holds them."""

    def __init__(self, settings: RemoteTarget, values: Mapping[str, str | None]) -> None:
        self._settings = settings
        self._values = values

    def secret(self, key: str) -> Secret:
        """Return the value of the variable that ``key`` names; empty if it names none. Raises CannotMeasure."""
        name = getattr(self._settings, key)
        if not name:
            return Secret("")
        value = self._values.get(name)
        if not value:
            raise CannotMeasure(f"[target] {key} names {name!r}, which is not set: no way to reach the target")
        return Secret(value)

    def endpoint(self, key: str = "url", default_port: int | None = None) -> Endpoint | None:
        """Return the address that ``key`` or ``<key>_env`` gives, None if neither does. Raises CannotMeasure."""
        text = self.secret(f"{key}_env").reveal() or getattr(self._settings, key)
        if not text:
            return None
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0:
            raise CannotMeasure(f"[target] {key}: seen something else than http(s)://host:port; correct it")
        return Endpoint(
            parts.scheme,
            parts.hostname,
            port or default_port or DEFAULT_PORTS[parts.scheme],
            parts.path.rstrip("/"),
            unquote(parts.username or ""),
            Secret(unquote(parts.password or "")),
        )

    def required_endpoint(self, default_port: int | None = None) -> Endpoint:
        """Return the address of the target. Raises CannotMeasure if there is none."""
        found = self.endpoint(default_port=default_port)
        if found is None:
            kind = self._settings.kind
            raise CannotMeasure(f"target {kind}: no address is configured; set [target] url or url_env")
        return found

    def tls(self) -> ssl.SSLContext:
        """Return a context that verifies, by ``ca_file`` if there is one."""
        return ssl.create_default_context(cafile=self._settings.ca_file or None)


def require(kind: str, package: str, load: Callable[[], object]) -> None:
    """Import a vendor's client by ``load``. Raises CannotMeasure that names the extra to install."""
    try:
        load()
    except ImportError as error:
        raise CannotMeasure(
            f"target {kind}: its client {package} is not installed ({error.name or 'import error'} missing); "
            f"run pip install 'rollback-drill[{kind}]', then run again"
        ) from None


@contextmanager
def quietly() -> Iterator[None]:
    """Let a vendor's client warn nobody while it is made: in a drill warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def reach(kind: str, endpoint: Endpoint, within_s: float) -> None:
    """Open a connection and close it: for clients that do not bound that wait by itself. Raises TargetUnavailable."""
    with asking(kind, "connect"):
        socket.create_connection((endpoint.host, endpoint.port), timeout=within_s).close()


def silence(*loggers: str) -> None:
    """Keep a vendor's client from logging hosts, document ids and tracebacks: the drill says itself what went wrong."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Set variables of the process for a while, ``None`` to unset one: for clients that take what is there."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def trusted(ca_file: str) -> Iterator[None]:
    """Name ``ca_file`` by the variable that httpx reads: for a client that takes no authorities of its own."""
    with environment(**({"SSL_CERT_FILE": ca_file} if ca_file else {})):
        yield

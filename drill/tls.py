"""What a failed TLS connection says, one sentence a cause; never in the words of the other side."""

import socket
import ssl
from urllib.parse import urlsplit

LOOK_S = 1.0
"""How long a look of its own at a port may take."""
CERTIFICATE = "TLS certificate not accepted: "
_KNOW_IT = "set [service] ca_file to the certificate of its authority"
_VERIFY = {
    9: "check the clocks of both machines",
    10: "renew it on the server, or check the clock of this machine",
    18: "set [service] ca_file to it if it is to be trusted",
    19: _KNOW_IT,
    20: _KNOW_IT,
    21: f"{_KNOW_IT}, or have the server send the whole chain",
    23: "renew it on the server",
    62: "use a host name in the URL that stands in the certificate",
    64: "use a name or an address in the URL that stands in the certificate",
}
"""What to do, by OpenSSL's code (x509_vfy.h)."""
CLIENT_CERTIFICATE = (
    "the server asks for a client certificate (mTLS), and a drill sends none; use an address that needs none, "
    "as a sidecar's or one inside the mesh"
)
SPEAKS_TLS = "this port speaks https; write https:// in the URL"
SPEAKS_PLAIN = "this port does not speak https; write http:// in the URL if it is meant to be plain"
_REASONS = (
    ("CERTIFICATE_REQUIRED", CLIENT_CERTIFICATE),
    ("WRONG_VERSION_NUMBER", SPEAKS_PLAIN),
    ("HTTP_REQUEST", SPEAKS_PLAIN),
    ("PACKET_LENGTH_TOO_LONG", SPEAKS_PLAIN),
    ("RECORD_LAYER_FAILURE", SPEAKS_PLAIN),
    ("PROTOCOL_VERSION", "no version of TLS that both sides speak; the server needs TLS 1.2 or newer"),
    ("UNSUPPORTED_PROTOCOL", "no version of TLS that both sides speak; the server needs TLS 1.2 or newer"),
    ("UNRECOGNIZED_NAME", "the server does not know the host name of the URL; use a name that it serves"),
    ("UNKNOWN_CA", "the server does not accept the client's side of TLS; does it ask for a client certificate?"),
    (
        "HANDSHAKE_FAILURE",
        "the server broke the TLS handshake off; it may ask for a client certificate (mTLS), or for other ciphers",
    ),
)
"""Parts of OpenSSL's names of errors (sslerr.h), the first that fits."""
_BODIES = (
    (b"no required ssl certificate was sent", CLIENT_CERTIFICATE),
    (b"the ssl certificate error", CLIENT_CERTIFICATE),
    (b"plain http request was sent to https port", SPEAKS_TLS),
    (b"http request to an https server", SPEAKS_TLS),
    (b"speaking plain http to an ssl-enabled server port", SPEAKS_TLS),
    (b"requires tls", SPEAKS_TLS),
)
"""How nginx, Go and Apache refuse in an HTTP answer with status 400 what went wrong below it."""


def explain(problem: BaseException) -> str:
    """Return what ``problem``, or what it came from, says of TLS; empty if it is not of TLS."""
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = cause.verify_message.rstrip(".")
            return f"{CERTIFICATE}{said}; {_VERIFY.get(cause.verify_code, 'see [service] ca_file')}"
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            known = next((text for part, text in _REASONS if part in (cause.reason or "")), "")
            return f"no TLS connection: {known or cause.reason or 'no reason was given'}"
        cause = cause.__cause__ or cause.__context__
    return ""


def refused_in_http(status: int, body: bytes) -> str:
    """Return what an answer says of TLS that went wrong below it; empty if it says nothing of it."""
    if status == 400 and len(body) < 4096:
        text = body.lower()
        return next((said for mark, said in _BODIES if mark in text), "")
    return {495: CLIENT_CERTIFICATE, 496: CLIENT_CERTIFICATE, 497: SPEAKS_TLS}.get(status, "")


def look(url: str, ca_file: str = "") -> str:
    """Shake hands with the port of ``url`` and say what that shows; empty if nothing.

    A server that asks for a client certificate, or for TLS, often hangs up on a request without a word. It is sent no
    request here. The certificate is verified as ever; that it is not accepted shows that the port speaks TLS.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    try:
        said = _shake_hands(parts.hostname or "", parts.port or (443 if secure else 80), ca_file)
    except (OSError, ValueError, UnicodeError) as problem:
        said = explain(problem)
        speaks = isinstance(problem, ssl.SSLCertVerificationError) or "ALERT" in (getattr(problem, "reason", "") or "")
        return said if secure else SPEAKS_TLS if speaks else ""
    return said if secure else SPEAKS_TLS


def _shake_hands(host: str, port: int, ca_file: str) -> str:
    """Return what the server says after the handshake (TLS 1.3 asks for a client certificate only then)."""
    context = ssl.create_default_context(cafile=ca_file or None)
    with (
        socket.create_connection((host, port), LOOK_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        try:
            secured.recv(1)
        except ssl.SSLError as problem:
            return explain(problem)
        except OSError:
            return ""
    return ""

"""Settings of one instance: the env file as it is at start, overlaid by the process environment."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.service.errors import SettingsError

BACKENDS = ("faiss", "pgvector")
ENV_KEYS = (
    "FF_RETRIEVAL_DUAL_WRITE",
    "FF_RETRIEVAL_SHADOW_READ",
    "FF_RETRIEVAL_SHADOW_SAMPLE_RATE",
    "RETRIEVAL_BACKEND",
    "RETRIEVAL_TARGET_BACKEND",
    "FAISS_DATA_DIR",
    "PGVECTOR_DSN",
    "DEFAULT_TENANT",
    "RETRIEVAL_TENANTS",
    "RETRIEVAL_TENANT_ALLOWLIST",
)
_ON = frozenset({"on", "true", "1"})
_OFF = frozenset({"off", "false", "0"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What one instance runs with. ``dual_write_tenants`` are the tenants whose writes also go to the target.

    ``migrating`` are those of the allow-list (all, where there is none): only their searches are shadowed.
    """

    dual_write_tenants: frozenset[str]
    migrating: frozenset[str]
    shadow_read: bool
    shadow_sample_rate: float
    backend: str
    target_backend: str
    faiss_dir: Path
    dsn: str
    default_tenant: str
    tenants: tuple[str, ...]
    env_file: Path = Path(".env")
    """Where they were read from."""

    @property
    def dual_write(self) -> bool:
        """Whether any write goes to the target."""
        return bool(self.dual_write_tenants)


def load(env_file: Path, environ: Mapping[str, str]) -> Settings:
    """Read ``env_file``; a key that is set in ``environ`` wins, as with dotenv in most services.

    Raises ``SettingsError`` for a file that cannot be read and for a value that is not one of those expected.
    """
    from dotenv import dotenv_values

    if not env_file.is_file():
        raise SettingsError(f"env file {env_file} is not there; expected a readable file")
    try:
        values = {key: value or "" for key, value in dotenv_values(env_file).items()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"env file {env_file} cannot be read ({error}); expected UTF-8 text") from None
    return replace(parse(values | {key: environ[key] for key in ENV_KEYS if key in environ}), env_file=env_file)


def parse(values: Mapping[str, str]) -> Settings:
    """Check every value; raise ``SettingsError`` naming the first key that is wrong."""
    default_tenant = values.get("DEFAULT_TENANT", "").strip() or "default"
    listed = values.get("RETRIEVAL_TENANTS", default_tenant).split(",")
    tenants = tuple(name.strip() for name in listed if name.strip())
    if default_tenant not in tenants:
        raise SettingsError(f"DEFAULT_TENANT={default_tenant!r} is not in RETRIEVAL_TENANTS={','.join(tenants)!r}")
    migrating = _allowed(values, tenants)
    return Settings(
        dual_write_tenants=migrating if _flag(values, "FF_RETRIEVAL_DUAL_WRITE") else frozenset(),
        migrating=migrating,
        shadow_read=_flag(values, "FF_RETRIEVAL_SHADOW_READ"),
        shadow_sample_rate=_rate(values, "FF_RETRIEVAL_SHADOW_SAMPLE_RATE"),
        backend=_choice(values, "RETRIEVAL_BACKEND", BACKENDS),
        target_backend=_choice(values, "RETRIEVAL_TARGET_BACKEND", ("pgvector",)),
        faiss_dir=Path(_required(values, "FAISS_DATA_DIR")),
        dsn=_required(values, "PGVECTOR_DSN"),
        default_tenant=default_tenant,
        tenants=tenants,
    )


def _allowed(values: Mapping[str, str], tenants: tuple[str, ...]) -> frozenset[str]:
    named = {name.strip() for name in values.get("RETRIEVAL_TENANT_ALLOWLIST", "").split(",") if name.strip()}
    if strangers := named - set(tenants):
        raise SettingsError(f"RETRIEVAL_TENANT_ALLOWLIST names {', '.join(sorted(strangers))}, no such tenant")
    return frozenset(named or tenants)


def _flag(values: Mapping[str, str], key: str) -> bool:
    raw = values.get(key, "OFF").strip().lower()
    if raw in _ON | _OFF:
        return raw in _ON
    raise SettingsError(f"{key}={values[key]!r}: expected ON or OFF (or true/false, 1/0)")


def _rate(values: Mapping[str, str], key: str) -> float:
    raw = values.get(key, "1.0")
    try:
        rate = float(raw)
    except ValueError:
        rate = -1.0
    if 0.0 <= rate <= 1.0:
        return rate
    raise SettingsError(f"{key}={raw!r}: expected a share from 0 to 1")


def _choice(values: Mapping[str, str], key: str, allowed: tuple[str, ...]) -> str:
    raw = values.get(key, allowed[0]).strip().lower()
    if raw in allowed:
        return raw
    raise SettingsError(f"{key}={values[key]!r}: expected {' or '.join(allowed)}")


def _required(values: Mapping[str, str], key: str) -> str:
    if value := values.get(key, "").strip():
        return value
    raise SettingsError(f"{key} is empty; expected a value")

"""The rungs of the re-open ladder: what each one sets in the env file (DESIGN.md section 1, step 7)."""

from collections.abc import Mapping
from dataclasses import dataclass

from drill.config import Config
from drill.envfile import FLAGS
from drill.proof.flags import Flag

SHADOW_READ = "FF_RETRIEVAL_SHADOW_READ"
SAMPLE_RATE = "FF_RETRIEVAL_SHADOW_SAMPLE_RATE"
DUAL_WRITE = "FF_RETRIEVAL_DUAL_WRITE"
ALLOWLIST = "RETRIEVAL_TENANT_ALLOWLIST"


@dataclass(frozen=True, slots=True)
class Rung:
    """One state on the way back to the migration. ``RETRIEVAL_BACKEND`` is ``faiss`` on all of them."""

    name: str
    shadow_rate: float
    """Share of the searches of ``tenants`` that are shadowed; 0: shadow-read is off."""
    dual_write: bool
    tenants: tuple[str, ...]
    """Tenants that take part."""
    wanted: Mapping[str, str]
    """What the env file says."""

    @property
    def off(self) -> frozenset[Flag]:
        """The flags that are on this rung as after the rollback."""
        on = {Flag.SHADOW_READ: bool(self.shadow_rate), Flag.DUAL_WRITE: self.dual_write}
        return frozenset(flag for flag in Flag if not on.get(flag))


def bottom(config: Config, values: Mapping[str, str | None]) -> Rung:
    """Return where the ladder stands: FAISS only, with sample rate and allow-list as the env file has them.

    An allow-list that was not there cannot be taken out again, so it names every tenant, which means the same.
    """
    everyone = tuple(config.service.tenants)
    wanted = dict(FLAGS)
    if rate := values.get(SAMPLE_RATE):
        wanted[SAMPLE_RATE] = rate
    if config.reopen.pilot_tenants:
        wanted[ALLOWLIST] = values.get(ALLOWLIST) or ",".join(everyone)
    return Rung("FAISS only", 0.0, dual_write=False, tenants=everyone, wanted=wanted)


def allowed(config: Config, values: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the tenants that the service's own allow-list lets in; all, where it has none."""
    named = tuple(name.strip() for name in (values.get(ALLOWLIST) or "").split(",") if name.strip())
    return named or tuple(config.service.tenants)


def shadow_rungs(config: Config, values: Mapping[str, str | None]) -> list[Rung]:
    """Return shadow-read at each of ``[reopen] shadow_sample_rates``, for the pilot tenants if any are named."""
    tenants = tuple(config.reopen.pilot_tenants) or allowed(config, values)
    return [
        _rung(f"shadow-read {rate:.4g}", config, rate, tenants, dual_write=False)
        for rate in config.reopen.shadow_sample_rates
    ]


def dual_write_rungs(config: Config, values: Mapping[str, str | None]) -> list[Rung]:
    """Return dual-write for the pilot tenants, if any are named, and then for all, on top of the last shadow rung."""
    rates, pilots = config.reopen.shadow_sample_rates, tuple(config.reopen.pilot_tenants)
    groups = [("pilot tenants", pilots)] if pilots else []
    last = tuple(config.service.tenants) if pilots else allowed(config, values)
    return [
        _rung(f"dual-write for {who}", config, rates[-1] if rates else 0.0, tenants, dual_write=True)
        for who, tenants in (*groups, ("all tenants", last))
    ]


def _rung(name: str, config: Config, rate: float, tenants: tuple[str, ...], *, dual_write: bool) -> Rung:
    wanted = {**FLAGS, DUAL_WRITE: "ON" if dual_write else "OFF", SHADOW_READ: "ON" if rate else "OFF"}
    if rate:
        wanted[SAMPLE_RATE] = f"{rate:.4g}"
    if config.reopen.pilot_tenants:  # without pilots the service's own allow-list, if it has one, is not our business
        wanted[ALLOWLIST] = ",".join(tenants)
    return Rung(name, rate, dual_write, tenants, wanted)

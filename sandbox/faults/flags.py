"""Faults of configuration: an instance that does not do what its env file says."""

from dataclasses import replace
from typing import TYPE_CHECKING

from sandbox.faults.hooks import Hooks
from sandbox.faults.registry import fault

if TYPE_CHECKING:
    from sandbox.service.settings import Settings


@fault
class DualWriteFlagIgnored(Hooks):
    """Dual-write is on whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn dual-write on for every tenant."""
        return replace(settings, dual_write_tenants=frozenset(settings.tenants))


@fault
class DualWriteOneTenant(Hooks):
    """Dual-write is on for the last tenant whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn dual-write on for one tenant."""
        return replace(settings, dual_write_tenants=settings.dual_write_tenants | {settings.tenants[-1]})


@fault
class ShadowReadFlagIgnored(Hooks):
    """Shadow-read is on whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn shadow-read on."""
        return replace(settings, shadow_read=True, shadow_sample_rate=settings.shadow_sample_rate or 1.0)


@fault
class ShadowOnePercent(Hooks):
    """Shadow-read goes on for 1 % of the searches whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Turn shadow-read on at a low rate."""
        return replace(settings, shadow_read=True, shadow_sample_rate=0.01)


@fault
class BackendFlagIgnored(Hooks):
    """The target serves the searches whatever the env file says."""

    def settings(self, settings: "Settings") -> "Settings":
        """Serve from the target."""
        return replace(settings, backend=settings.target_backend)


@fault
class ProcessEnvironmentShadows(Hooks):
    """The process environment says dual-write ON, and wins over the env file from the next restart on."""

    def environment(self) -> dict[str, str]:
        """Return the variable that shadows the file."""
        return {"FF_RETRIEVAL_DUAL_WRITE": "ON"}

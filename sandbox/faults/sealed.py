"""Faults of the env file: what an edit would break."""

from sandbox.faults.hooks import Hooks, Places
from sandbox.faults.registry import fault

SOPS = (
    b"sops_lastmodified=2025-09-22T07:04:04Z\n"
    b"sops_mac=ENC[AES256_GCM,data:c2lnbmVk,iv:aXY=,tag:dGFn,type:str]\n"
    b"sops_unencrypted_regex=.*\nsops_version=3.10.2\n"
)
"""The end of a file that sops has signed, with all values in clear; made up."""


@fault
class EnvFileSigned(Hooks):
    """The env file is signed by sops, its values in clear: whoever edits it makes it unreadable to sops."""

    @classmethod
    def switched_on(cls, places: Places) -> None:
        """Put the signature at the end."""
        places.env_file.write_bytes(places.env_file.read_bytes() + SOPS)

    @classmethod
    def switched_off(cls, places: Places) -> None:
        """Take it away."""
        places.env_file.write_bytes(places.env_file.read_bytes().replace(SOPS, b""))

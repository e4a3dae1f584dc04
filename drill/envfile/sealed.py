"""Env files that are encrypted or signed as a whole: an edit would break them, and no service reads them as they are.

Told by what each tool writes: the first bytes of its container, or its metadata among the statements. A file in which
only some *values* are encrypted (dotenvx, Vault, Jasypt, hiera-eyaml) can be edited as long as the flags are plain.
"""

import re
from collections.abc import Mapping

_HEADS: Mapping[bytes, str] = {
    rb"\$ANSIBLE_VAULT;": "ansible-vault",
    rb"\0GITCRYPT\0": "git-crypt",
    rb"age-encryption\.org/|-----BEGIN AGE ENCRYPTED FILE-----": "age",
    rb"-----BEGIN PGP [A-Z ]+-----": "PGP",
    # Binary PGP: a packet with an encrypted session key, of version 3 (public key) or 4 to 6 (passphrase).
    rb"(?:\x84.|\x85..|\xc1.|\xc1[\xc0-\xdf].)[\x03\x06]|(?:\x8c.|\xc3[\x00-\x7f])[\x04-\x06]": "PGP",
    rb"Salted__|U2FsdGVkX1": "OpenSSL or transcrypt",
    rb"-----BEGIN (?:PKCS7|CMS|SIGNED MESSAGE)-----|(?:MIME-Version|Content-Type): [^\n]*(?:\n[^\n]+)*pkcs7": "S/MIME",
    rb"# STRONGBOX ENCRYPTED RESOURCE": "strongbox",
    rb"untrusted comment: ": "signify",
    rb"[A-Za-z0-9+/=]{16,}--[A-Za-z0-9+/=]{16}--[A-Za-z0-9+/=]{16,}\s*\Z": "Rails credentials",
    rb"\{\s*\"_public_key\"\s*:": "ejson",
}
_BOM_AND_BLANKS = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*")
_SOPS_VALUE = re.compile(rb"""^[^#\n]*[=:][ \t]*["']?ENC\[AES256_GCM,""", re.MULTILINE)
"""A value in the cipher of sops, in any of its formats: dotenv, INI, YAML, JSON, and JSON around a binary."""
_SOPS_METADATA = re.compile(
    r"sops_(?:mac|version|lastmodified|mac_only_encrypted|shamir_threshold|(?:un)?encrypted_\w+"
    r"|(?:age|pgp|kms|gcp_kms|azure_kv|hc_vault|key_groups|hckms)__\w+)"
)
_VAULT_KEY = re.compile(r"DOTENV_VAULT_[A-Z0-9_]+")
_SEAL = re.compile(r"-----BEGIN (?:PGP|AGE|SSH SIGNATURE|CMS|PKCS7)")
_ENCRYPTED_VALUE = re.compile(r"encrypted:|ENC[(\[]|EJ\[\d|vault:v\d+:|!vault|\{cipher\}|-----BEGIN ")

_INSTEAD: Mapping[str, str] = {
    "sops": "change the flags with `sops edit`, decrypt it, and drill on the decrypted file",
    "ansible-vault": "change the flags with `ansible-vault edit`, deploy it, and drill on the deployed file",
    "git-crypt": "run `git-crypt unlock` first",
}


def sealed_by(data: bytes) -> str:
    """Return the tool whose container ``data`` is, by its first bytes or its cipher; empty if none is known."""
    start = _BOM_AND_BLANKS.match(data)
    body = data[start.end() :] if start else data
    for head, tool in _HEADS.items():
        if re.match(head, body, re.DOTALL):
            return tool
    return "sops" if _SOPS_VALUE.search(data) else ""


def sealed_among(values: Mapping[str, str | None]) -> str:
    """Return the tool whose metadata stand among the statements of an env file; empty if there are none.

    One name alone is no proof: a service may well have a variable ``sops_version``.
    """
    sops = {key for key in values if _SOPS_METADATA.fullmatch(key)}
    if (values.get("sops_mac") and sops) or len(sops) > 1:
        return "sops"
    return "dotenv-vault" if any(_VAULT_KEY.fullmatch(key) for key in values) else ""


def refusal(tool: str) -> str:
    """Say why a file of ``tool`` is not edited, and what to do instead."""
    instead = _INSTEAD.get(tool, "change the flags with that tool, and drill on the plain file that the service reads")
    return f"it is encrypted or signed ({tool}), and an edit would break it; expected a plain env file; {instead}"


def is_seal(text: str) -> bool:
    """Whether a line begins an armoured message or signature that stands in the file itself, in no value."""
    return _SEAL.match(text.strip()) is not None


def is_encrypted(value: str | None) -> bool:
    """Whether a value is encrypted by itself: what it says cannot be known."""
    return _ENCRYPTED_VALUE.match(value or "") is not None

"""Encrypted and signed env files are refused with the way out; healthy ones that only speak of such tools are not."""

from pathlib import Path

import pytest

from drill.envfile import EditVerdict, plan_edit
from drill.envfile.read import read_values
from drill.errors import EnvFileRefused

from .support import PLAIN, PLAIN_AFTER

CIPHER = b"ENC[AES256_GCM,data:Cg8xk2==,iv:kUik=,tag:Xy2p9a==,type:str]"
SOPS_TAIL = (
    b"sops_age__list_0__map_enc=-----BEGIN AGE ENCRYPTED FILE-----\\nYWdl\\n-----END AGE ENCRYPTED FILE-----\\n\n"
    b"sops_age__list_0__map_recipient=age1x\nsops_lastmodified=2025-09-22T07:04:04Z\n"
    b"sops_mac=" + CIPHER + b"\nsops_unencrypted_regex=.*\nsops_version=3.10.2\n"
)
SEALED = {
    "sops with all values in clear": (PLAIN + SOPS_TAIL, "sops edit"),
    "sops with values encrypted": (b"RETRIEVAL_BACKEND=" + CIPHER + b"\n" + SOPS_TAIL, "sops edit"),
    "sops with CRLF": ((PLAIN + SOPS_TAIL).replace(b"\n", b"\r\n"), "sops edit"),
    "sops, old, metadata in another order": (PLAIN + b"sops_version=3.7.3\nsops_pgp__list_0__map_fp=89C5\n", "sops"),
    "sops, a mac that is no cipher": (PLAIN + b"sops_mac=abc\nsops_version=3.7.3\n", "sops"),
    "sops, metadata cut off": (PLAIN + b"TOKEN=" + CIPHER + b"\n", "sops"),
    "sops in quotes": (PLAIN + b'TOKEN="' + CIPHER + b'"\n', "sops"),
    "sops yaml": (b"RETRIEVAL_BACKEND: " + CIPHER + b"\nsops:\n    mac: " + CIPHER + b"\n", "sops"),
    "sops json": (b'{\n\t"data": "' + CIPHER + b'",\n\t"sops": {"version": "3.10.2"}\n}\n', "sops"),
    "sops ini": (b"[app]\nRETRIEVAL_BACKEND = " + CIPHER + b"\n[sops]\nversion = 3.9\n", "sops"),
    "ansible-vault": (b"$ANSIBLE_VAULT;1.1;AES256\n6238623638\n3834\n", "ansible-vault edit"),
    "ansible-vault with an id": (b"$ANSIBLE_VAULT;1.2;AES256;prod\n6238623638\n", "ansible-vault edit"),
    "git-crypt": (b"\0GITCRYPT\0\x12\x34", "git-crypt unlock"),
    "age": (b"age-encryption.org/v1\n-> X25519 abc\n--- mac\n\x80\x81", "age"),
    "age, armoured": (b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n", "age"),
    "PGP, armoured": (b"\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n", "PGP"),
    "PGP, signed in clear": (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + PLAIN + b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n",
        "PGP",
    ),
    "PGP, binary, to a key": (b"\x85\x01\x0c\x03\xf1\x02", "PGP"),
    "PGP, binary, by a passphrase": (b"\x8c\x0d\x04\x09\x03\x08", "PGP"),
    "a signature at the end": (
        PLAIN + b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n",
        "sign",
    ),
    "OpenSSL": (b"Salted__\x01\x02\xff", "OpenSSL"),
    "transcrypt": (b"U2FsdGVkX1+vupppZksvRf5pq5g5XjFRIipRkwB0K1Y=\n", "transcrypt"),
    "S/MIME": (b"MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=x\n\nMIIB\n", "S/MIME"),
    "CMS": (b"-----BEGIN CMS-----\nMIIB\n-----END CMS-----\n", "S/MIME"),
    "strongbox": (b"# STRONGBOX ENCRYPTED RESOURCE ; See https://github.com/uw-labs/strongbox\nabc=\n", "strongbox"),
    "Rails credentials": (b"uVSzQzIvXJz4b0jT0v8=--Z0n3xGm5Uu0kP1aa--8mZcTq3Yk0bWl0xGqkzL4g==", "Rails"),
    "ejson": (b'{\n  "_public_key": "63cc",\n  "environment": {"A": "EJ[1:x]"}\n}\n', "ejson"),
    "dotenv-vault": (b'DOTENV_VAULT=vlt_5\nDOTENV_VAULT_PRODUCTION="x26P=="\n', "dotenv-vault"),
    "a cipher that nobody knows": (b"kV0mX1+vupppZksvRf5pq5g5XjFRIipR/wB0K1Yabc\nq5g5XjFRIipRk==\n", "NAME=value"),
    "a flag that dotenvx has encrypted": (PLAIN.replace(b"pgvector", b'"encrypted:BMCXX4QN8a8o="'), "plain value"),
    "a flag that jasypt has encrypted": (PLAIN.replace(b"pgvector", b"ENC(G6N718UuyPE5==)"), "plain value"),
    "a flag that Vault has encrypted": (PLAIN.replace(b"pgvector", b"vault:v1:8SDd3WHDOjf7"), "plain value"),
}


@pytest.mark.parametrize(("data", "hint"), SEALED.values(), ids=SEALED.keys())
def test_a_sealed_file_is_refused_with_what_to_do_instead(data: bytes, hint: str) -> None:
    """An edit would break the seal, or be read by nobody."""
    plan = plan_edit(data)
    assert plan.verdict is EditVerdict.REFUSE
    assert plan.unchanged
    assert hint in plan.reason
    assert "expected" in plan.reason


HEALTHY = {
    "a comment on sops": b"# decrypted by sops 3.10 (sops_mac, sops_version, ENC[AES256_GCM,data:x])\n",
    "a comment behind a value": b"A=1 # was ENC[AES256_GCM,data:x]\n",
    "variables for sops": b"SOPS_AGE_KEY_FILE=/run/key\nSOPS_VERSION=3.10.2\nSOPS_PGP_FP=89C5\n",
    "one name in lower case": b"sops_version=3.10.2\n",
    "a key in quotes": b'KEY="-----BEGIN PGP MESSAGE-----\nhQEM\n-----END PGP MESSAGE-----"\n',
    "values encrypted by dotenvx": b'DOTENV_PUBLIC_KEY="0342"\nTOKEN="encrypted:BMCXX4QN8a8o="\n',
    "values encrypted by others": b"A=ENC(G6N7)\nB=vault:v1:8SDd\nC=ENC[PKCS7,Y22=]\nD={cipher}AQ\n",
    "references": b"A=op://prod/db/url\nB=vault:secret/data/db#url\nRETRIEVAL_BACKEND=op://prod/backend/kind\n",
    "a vault's password": b"ANSIBLE_VAULT_PASSWORD_FILE=/etc/vault\nA=$ANSIBLE_VAULT;1.1\nDOTENV_KEY=x\n",
    "a Greek capital at the start": "Ämter=1\n".encode(),
    "names alone": b"HOME\nPATH\n",
}


@pytest.mark.parametrize("data", HEALTHY.values(), ids=HEALTHY.keys())
def test_a_healthy_file_that_speaks_of_such_tools_is_edited(data: bytes) -> None:
    """Only the three flags change."""
    plan = plan_edit(data + PLAIN)
    assert plan.refusal == ""
    assert plan.new_bytes == data + PLAIN_AFTER


@pytest.mark.parametrize("name", ["sops with all values in clear", "sops with values encrypted", "git-crypt", "age"])
def test_reading_for_the_configuration_refuses_too(tmp_path: Path, name: str) -> None:
    """Ciphers must not be taken for a configuration, which would end as wrong usage."""
    path = tmp_path / ".env"
    path.write_bytes(SEALED[name][0])
    with pytest.raises(EnvFileRefused, match="encrypted or signed") as caught:
        read_values(path)
    assert "\n" not in str(caught.value)

"""Certificates of every kind that is not accepted, made by openssl."""

import subprocess
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
HERE = "subjectAltName=IP:127.0.0.1"
CA = """\
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def self_signed(folder: Path, *, san: str = HERE) -> tuple[Path, Path]:
    """Return certificate and key of a certificate that only itself vouches for."""
    folder.mkdir(parents=True)
    _openssl(
        folder,
        *("req", "-x509", *KEY, "-days", "2", "-subj", "/CN=drill"),
        *("-addext", san, "-keyout", "key.pem", "-out", "cert.pem"),
    )
    return folder / "cert.pem", folder / "key.pem"


def dated(folder: Path, begin: str, end: str) -> tuple[Path, Path]:
    """Return one that is valid from ``begin`` to ``end`` (``YYYYMMDDHHMMSSZ``)."""
    folder.mkdir(parents=True)
    (folder / "ca.cnf").write_text(CA)
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    _openssl(folder, "req", "-new", *KEY, "-subj", "/CN=drill", "-addext", HERE, "-keyout", "key.pem", "-out", "r.csr")
    _openssl(
        folder,
        *("ca", "-batch", "-config", "ca.cnf", "-selfsign", "-keyfile", "key.pem", "-notext"),
        *("-in", "r.csr", "-out", "cert.pem", "-startdate", begin, "-enddate", end),
    )
    return folder / "cert.pem", folder / "key.pem"


def of_private_authority(folder: Path) -> tuple[Path, Path, Path]:
    """Return certificate, key, and the certificate of the authority that signed it."""
    authority, key = self_signed(folder / "ca")
    _openssl(folder, "req", "-new", *KEY, "-subj", "/CN=leaf", "-addext", HERE, "-keyout", "key.pem", "-out", "r.csr")
    (folder / "san.cnf").write_text(HERE + "\n")
    _openssl(
        folder,
        *("x509", "-req", "-in", "r.csr", "-CA", str(authority), "-CAkey", str(key), "-CAcreateserial"),
        *("-days", "2", "-extfile", "san.cnf", "-out", "cert.pem"),
    )
    return folder / "cert.pem", folder / "key.pem", authority

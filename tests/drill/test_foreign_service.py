"""A service that is not the sandbox: it re-reads its env file by itself, has no target to see and no writes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest

from drill.envfile import FLAGS
from tests.drill.harness import ENV, ROOT, Desk

POLL_S = 3.0
"""How long the service takes to notice a changed env file."""


def make_faiss(folder: Path, documents: int = 40) -> Path:
    """Write a FAISS directory of one tenant and return its docs.json."""
    home = folder / "faiss" / "default"
    home.mkdir(parents=True)
    index = faiss.IndexFlatIP(4)
    index.add(np.random.default_rng(1).random((documents, 4), dtype=np.float32))
    faiss.write_index(index, str(home / "index.faiss"))
    docs = [{"id": f"doc-{number}", "text": f"passage {number} of many", "meta": {}} for number in range(documents)]
    (home / "docs.json").write_text(json.dumps(docs))
    return home / "docs.json"


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk on the env file of a running foreign service."""
    env_file = tmp_path / "service.env"
    env_file.write_bytes(ENV)
    docs = make_faiss(tmp_path)
    command = [
        sys.executable,
        str(Path(__file__).with_name("foreign_service.py")),
        str(env_file),
        str(docs),
        str(POLL_S),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    (tmp_path / "drill.toml").write_text(
        f'[service]\nbase_url = "http://127.0.0.1:{port}"\nreload_timeout_s = 20\n'
        f'[primary]\npath = "faiss"\n[slo]\nalerts = ""\n'
    )
    yield Desk(env_file, tmp_path / "artifacts", tmp_path / "reports")
    process.kill()
    process.communicate()


def says_its_flags(desk: Desk) -> None:
    """Tell the drill where the service shows its flags, and by which names."""
    config = desk.env_file.with_name("drill.toml")
    paths = {flag: f"env.{key}" for flag, key in zip(("dual_write", "shadow_read", "backend"), FLAGS, strict=True)}
    flags = "".join(f'{flag} = "{path}"\n' for flag, path in paths.items())
    config.write_text(
        config.read_text().replace("reload_timeout_s", 'flags_path = "/debug/config"\nreload_timeout_s')
        + f"[service.flags]\n{flags}"
    )


def test_a_foreign_service_that_re_reads_by_itself_is_rolled_back_and_proven(foreign: Desk) -> None:
    says_its_flags(foreign)
    rehearsed = foreign.drill("--purge", "off")
    rehearsed.expect(0)
    assert foreign.env_file.read_bytes() == ENV
    applied = foreign.drill("--apply", "--purge", "off")
    applied.expect(0)
    assert applied.entry["time_to_safety_s"] > POLL_S / 2
    assert "divergence is unknown" in applied.reason("purge_delta")
    proofs = {step["id"]: step["proof"] for step in applied.entry["steps"] if "proof" in step}
    assert proofs == {"disable_dual_write": "process", "disable_shadow_read": "effect", "force_faiss": "effect"}


def test_without_a_target_an_automatic_purge_is_inconclusive(foreign: Desk) -> None:
    says_its_flags(foreign)
    ran = foreign.drill("--apply")
    ran.expect(10)
    assert ran.not_green == {"purge_delta"}

"""Whatever is dead, in whatever way: the flags are on disk at once, no wait is endless, and the right row is red."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from drill.rollback import PROOF_S
from tests.drill.harness import ROOT
from tests.network.scenario import HOST_NETWORK, NETWORK

CERTIFICATES = ("self_signed", "expired", "wrong_name")
HTTP = {
    "refuse": "connection refused",
    "broken": "connection broken off",
    "silent": "no whole answer in time",
    "drop": "no connection in time",
    "drip": "no whole answer in time",
    "flood": "bytes, given up",
    "bomb": "bytes, given up",
    "redirect": "HTTP 302",
    "redirect_scheme": "HTTP 302",
    "self_signed": "certificate not accepted: self",
    "expired": "certificate has expired",
    "wrong_name": "certificate not accepted: IP address mismatch",
}
"""What is said of an HTTP peer."""
POSTGRES = {
    "refuse": "connection refused",
    "broken": "connection lost",
    "silent": "no answer in time",
    "drop": "no answer in time",
    "drip": "connection lost",
    "flood": "connection lost",
    "self_signed": "TLS certificate not accepted",
    "expired": "TLS certificate not accepted",
    "wrong_name": "TLS certificate not accepted",
}
"""What is said of a target. It has no redirects and no compression."""
METRICS = ("broken", "silent", "drip", "flood", "bomb", "redirect", "redirect_scheme")
"""What can be dead of one path of a service."""


@dataclass(frozen=True)
class Expected:
    """The row that tells of a dead peer, and how long it may take by the timeouts that are stated."""

    row: str
    verdict: str
    says: Mapping[str, str]
    stated_s: float


ROLES = {
    "service": Expected("preflight.service", "fail", HTTP, 5.0),
    "metrics": Expected("preflight.metrics", "error", HTTP, 5.0),
    "prometheus": Expected("slo.alerts", "error", HTTP, 5.0 + 2 * 1.0),
    "target": Expected("disable_dual_write", "inconclusive", POSTGRES, 4 * 3.0 + PROOF_S),
}
BUSY_S = 10.0
"""What a busy machine may add to a stated timeout."""
FLAGS_TIMES, FLAGS_PLUS_S = 3.0, 1.5
"""How much later than with nothing listening the flags may be on disk on a busy machine."""
MORE_MB = 200.0
"""What a peer may add to the memory of a drill: gigabytes must not come in."""

SAMPLE: tuple[dict[str, str], ...] = (
    {"service": "self_signed"},
    {"service": "redirect"},
    {"metrics": "flood"},
    {"prometheus": "redirect_scheme"},
    {"target": "drop"},
)
WHOLE = [{role: dead} for role, expected in ROLES.items() for dead in (METRICS if role == "metrics" else expected.says)]


def scenario(folder: Path, dead: Mapping[str, str]) -> dict[str, Any]:
    """Run a drill with these peers dead; where packets are to be dropped, in a network namespace of its own."""
    command = [sys.executable, "-m", "tests.network.scenario", str(folder), json.dumps(dead)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    if "drop" in dead.values():
        if problem := no_namespace():
            pytest.skip(problem)
        command = [*unshare(), *command]
        environ[HOST_NETWORK] = str(NETWORK.readlink())
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def unshare() -> list[str]:
    return ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]


@cache
def no_namespace() -> str:
    """Say why no packets can be dropped here; empty if they can."""
    if missing := [name for name in ("unshare", "ip", "iptables") if shutil.which(name) is None]:
        return f"{', '.join(missing)} is not installed: no packets are dropped"
    rule = "ip link set lo up && iptables -A INPUT -p tcp --dport 9 -j DROP"
    done = subprocess.run([*unshare(), "sh", "-c", rule], capture_output=True, text=True, check=False)
    return f"no network namespace with rules of its own: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture(scope="module")
def nothing_listens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the drill with nothing listening, which waits for nobody: what the others are compared with."""
    return scenario(tmp_path_factory.mktemp("refuse"), {"service": "refuse"})


def check(ran: dict[str, Any], dead: Mapping[str, str], base: dict[str, Any]) -> None:
    """Assert all that must hold."""
    seen = f"{dead}\n{ran['output']}"
    assert ran["code"] == (1 if "service" in dead else 10), seen
    assert [entry["exit_code"] for entry in ran["entries"]] == [ran["code"]], seen
    assert ran["entries"][0]["restored"] is False, f"what was dead before is no reason to put the env back\n{seen}"
    for role, how in dead.items():
        expected, row = ROLES[role], ran["rows"][ROLES[role].row]
        assert row["verdict"] == expected.verdict, seen
        assert expected.says[how] in row["reason"], seen
        assert row["duration_s"] < expected.stated_s + BUSY_S, seen
        assert any(f" {expected.row} " in line and expected.says[how] in line for line in ran["output"].splitlines())
    if "service" not in dead:
        red = {name for name, row in ran["rows"].items() if row["verdict"] in {"fail", "error"}}
        assert not red - {ROLES[role].row for role in dead} - reading_metrics(dead), seen
    assert ran["flags_s"] is not None, seen
    assert ran["flags_s"] < FLAGS_TIMES * base["flags_s"] + FLAGS_PLUS_S, seen
    assert ran["peak_mb"] < base["peak_mb"] + MORE_MB, seen
    assert ran["elsewhere_asked"] == 0, seen
    assert "pw-of-the-drill" not in seen, "the target's password was printed"


def reading_metrics(dead: Mapping[str, str]) -> set[str]:
    """Return the rows that cannot be judged without metrics either; with a Prometheus, they are read there."""
    post = ("target_errors", "circuit_open", "shadow_silent", "backend", "primary_latency")
    flags = (
        "preflight.metrics",
        "disable_dual_write",
        "disable_shadow_read",
        "force_faiss",
        "slo.errors",
        "slo.latency",
    )
    return set() if "target" in dead else {*flags, *(f"post.{name}" for name in post)}


@pytest.mark.parametrize("dead", SAMPLE, ids=lambda dead: "+".join(f"{role}-{how}" for role, how in dead.items()))
def test_a_dead_peer_delays_no_flag_and_reddens_its_own_row(
    tmp_path: Path, nothing_listens: dict[str, Any], dead: dict[str, str]
) -> None:
    check(scenario(tmp_path, dead), dead, nothing_listens)


@pytest.mark.long
@pytest.mark.parametrize("dead", WHOLE, ids=lambda dead: "+".join(f"{role}-{how}" for role, how in dead.items()))
def test_every_peer_dead_in_every_way(tmp_path: Path, nothing_listens: dict[str, Any], dead: dict[str, str]) -> None:
    ran = scenario(tmp_path, dead)
    check(ran, dead, nothing_listens)
    print(f"{dead}: flags {ran['flags_s']:.2f} s, drill {ran['took_s']:.1f} s, {ran['peak_mb']:.0f} MB")

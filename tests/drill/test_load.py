"""What a drill sends, as the service counts it, and a drill that is stopped in the middle."""

import json
import re
import signal
import subprocess
import time
import urllib.request

from sandbox.stack import Stack
from tests.drill.harness import QUICK, ROOT, Desk, surely_ended
from tests.drill.test_foreign_service import foreign

__all__ = ["foreign"]

STOPPED_S = 5.0
"""Longer than what is tolerated, and a tenth of the observation."""
ENDS_S = 240


def asked(desk: Desk) -> int:
    """Return how many requests the service has met that named the drill."""
    port = re.findall(r"127\.0\.0\.1:(\d+)", (desk.env_file.parent / "drill.toml").read_text())[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/asked") as answer:
        return int(json.load(answer).get("rollback-drill", 0))


def test_a_drill_sends_what_it_says_and_no_more_than_it_announced(foreign: Desk) -> None:
    """By the service's own count: a dry-run sends a small part and no probe, --apply what its report says.

    This service shows nothing of dual-write, no document and no word of the process: that the file says OFF and no
    counter moves is no proof.
    """
    before, counts = 0, []
    for options, code in (((), 0), (("--apply",), 10)):
        ran = foreign.drill(*options, "--purge", "off")
        ran.expect(code)
        announced = int(re.findall(r"this drill sends at most (\d+) requests to the service", ran.output)[0])
        sent, of = re.findall(r"(\d+) of (\d+) announced", ran.reports[-1].read_text())[0]
        met = asked(foreign) - before
        assert (met, announced) == (int(sent), int(of))
        assert met <= announced
        before += met
        counts.append(met)
        assert ("no continuous probe" in ran.output) is not bool(options)
    rehearsed, applied = counts
    assert 0 < rehearsed < applied / 3
    assert ran.not_green == {"disable_dual_write"}
    assert "by a restart only" in ran.reason("disable_dual_write")


def test_where_users_share_a_limit_with_the_drill_none_of_them_is_turned_away(stack: Stack, desk: Desk) -> None:
    """The drill takes what users leave; with its usual rate, the limit would be used up before the minute is over."""
    stack.fault("shared_rate_limit")
    stack.reload()
    ran = desk.drill("--apply", "--purge", "off")
    assert ran.code == 10, ran
    assert "left to users" in ran.reason("slo.latency")
    pages = [urllib.request.urlopen(f"{url}/metrics").read().decode() for url in stack.base_urls]
    assert all('http_requests_total{method="POST"' in page for page in pages), "they are counted"
    assert not any('status="429"' in page for page in pages)


def observing(desk: Desk) -> bool:
    """Whether the running drill has come to the observation."""
    return any('"smoke.chat"' in one.read_text() for one in desk.artifacts.glob("drills/*/events.ndjson"))


def test_a_drill_that_is_stopped_for_a_while_blames_nobody(stack: Stack, desk: Desk) -> None:
    """SIGSTOP in the observation: its own standstill is named, and is no failure of the service."""
    command = desk.command("--apply", "--purge", "off")
    environ = [f"{name}={value}" for name, value in QUICK.items()]
    begun = subprocess.Popen(["env", *environ, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with surely_ended(begun) as drill:
        deadline = time.monotonic() + ENDS_S
        while not observing(desk):
            assert drill.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        drill.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        drill.send_signal(signal.SIGCONT)
        output, _ = drill.communicate(timeout=ENDS_S)
    (entry,) = desk.journal()
    verdicts = {row["id"]: row["verdict"] for row in (*entry["steps"], *entry["checks"])}
    assert "fail" not in verdicts.values(), output
    assert verdicts["slo.errors"] == "inconclusive", output
    assert "the drill itself stood still for" in output
    assert drill.returncode == 10
    assert "seconds that the drill itself stood still" in desk.found_reports()[-1].read_text()
    assert stack.status().faults, "the incident went on"

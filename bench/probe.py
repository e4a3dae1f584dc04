"""How true are the latencies of the drill's continuous probe? Against a load tool, same endpoint, same rate."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import load_tool
from bench.environ import ROOT, plain_environ
from bench.lines import Line
from drill.http import HttpClient
from drill.probe import Ask, Prober
from drill.stats import quantile
from sandbox.corpus import TENANTS, golden_ids
from sandbox.stack import Stack

RATE = 40.0
SECONDS = 5.0
ROUNDS = 3
WARM_UP = 10
"""Answers at the start of each round that do not count: connecting, and code that runs for the first time."""
KNOWN_S = 0.015
SEARCH = "/internal/retrieval/search"
SLOW = "slow_median"
BOUND = 5.0


@dataclass(slots=True)
class Readings:
    """Latencies of one endpoint in seconds, read by both."""

    probe: list[float] = field(default_factory=list)
    tool: list[float] = field(default_factory=list)

    def lines(self, name: str) -> Iterator[Line]:
        """Yield how far the probe is from the tool, at the median and at P95."""
        probe, tool = sorted(self.probe), sorted(self.tool)
        for label, q in (("median", 0.5), ("P95", 0.95)):
            ours, theirs = quantile(probe, q) * 1000, quantile(tool, q) * 1000
            off = abs(ours / theirs - 1) * 100
            note = f"probe {ours:.2f} ms, {load_tool.NAME} {theirs:.2f} ms, {len(probe)} and {len(tool)} samples"
            yield Line(f"probe against {load_tool.NAME}: {label}, {name}", off, "%", BOUND, note)


def measure(stack: Stack) -> Iterator[Line]:
    """Yield the differences on a server of known latency, on a slow search, and on a fast one."""
    with known_latency(KNOWN_S) as url:
        yield from _alternate(url).lines(f"server of {KNOWN_S * 1000:g} ms")
    url = stack.base_urls[0]
    stack.fault(SLOW)
    yield from _alternate(url).lines(f"search with fault {SLOW}")
    stack.fault(SLOW, on=False)
    yield from _alternate(url).lines("search, healthy")


def _alternate(url: str) -> Readings:
    readings = Readings()
    ask = Ask(url, TENANTS[0], next(iter(golden_ids(TENANTS[0]))))
    body = {"query": ask.query, "top_k": 5, "tenant": ask.tenant}
    for _ in range(ROUNDS):
        readings.probe += _probe(ask)[WARM_UP:]
        readings.tool += load_tool.latencies(url + SEARCH, body, RATE, SECONDS)[WARM_UP:]
    return readings


def _probe(ask: Ask) -> list[float]:
    client = HttpClient()
    prober = Prober(client, SEARCH, [ask], top_k=5, rate=RATE)
    prober.start()
    time.sleep(SECONDS)
    prober.stop()
    client.close()
    results = prober.results()
    if failed := [result.error for result in results if not result.ok]:
        raise RuntimeError(f"{len(failed)} of {len(results)} probes failed: {failed[0]}")
    return [result.latency_s for result in results]


@contextmanager
def known_latency(seconds: float) -> Iterator[str]:
    """Run the server of known latency in a process of its own; yield its URL."""
    command = [sys.executable, "-m", "bench.known_latency", str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, env=plain_environ(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()

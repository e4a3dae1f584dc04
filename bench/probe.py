"""How true are the latencies of the drill's continuous probe? Against a load tool, same endpoint, same rate."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from bench import load_tool
from bench.environ import ROOT, plain_environ
from bench.lines import Line
from drill.http import HttpClient
from drill.probe import Ask, Prober
from drill.stats import quantile
from sandbox.corpus import TENANTS, golden_ids
from sandbox.stack import Stack

RATE = 40.0
SECONDS = 2.5
ROUNDS = 9
WARM_UP = 10
"""Answers at the start of each round that do not count: connecting, and code that runs for the first time."""
KNOWN_S = 0.015
SEARCH = "/internal/retrieval/search"
BOUND = 5.0


@dataclass(slots=True)
class Readings:
    """Latencies of one endpoint in seconds, read by both in alternation; one sorted list for each round."""

    probe: list[list[float]] = field(default_factory=list)
    tool: list[list[float]] = field(default_factory=list)

    def lines(self, name: str) -> Iterator[Line]:
        """Yield how far the probe is from the tool, at the median and at P95, and the tool from itself."""
        for label, q in (("median", 0.5), ("P95", 0.95)):
            ours = [quantile(values, q) for values in self.probe]
            theirs = [quantile(values, q) for values in self.tool]
            values = f"{statistics.median(ours) * 1000:.2f} and {statistics.median(theirs) * 1000:.2f} ms"
            noise = statistics.median(abs(one / other - 1) for one, other in pairwise(theirs)) * 100
            note = f"{values}; {load_tool.NAME} against its next round {noise:.1f} %"
            yield Line(f"probe against {load_tool.NAME}: {label}, {name}", _difference(ours, theirs), "%", BOUND, note)


def _difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the middle one of the rounds' differences in percent: a busy moment of the machine spoils one round."""
    return abs(statistics.median(one / other for one, other in zip(ours, theirs, strict=True)) - 1) * 100


def measure(stack: Stack) -> Iterator[Line]:
    """Yield the differences on a server of known latency, where it dominates, and on a healthy search."""
    with known_latency(KNOWN_S) as url:
        yield from _alternate(url).lines(f"server of {KNOWN_S * 1000:g} ms")
    yield from _alternate(stack.base_urls[0]).lines("search, healthy")


def _alternate(url: str) -> Readings:
    readings = Readings()
    ask = Ask(url, TENANTS[0], next(iter(golden_ids(TENANTS[0]))))
    body = {"query": ask.query, "top_k": 5, "tenant": ask.tenant}
    for _ in range(ROUNDS):
        readings.probe.append(sorted(_probe(ask)[WARM_UP:]))
        readings.tool.append(sorted(load_tool.latencies(url + SEARCH, body, RATE, SECONDS)[WARM_UP:]))
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

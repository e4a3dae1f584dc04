"""A retrieval service reduced to its metrics page, whose counters a test moves, and a Prometheus that scrapes some."""

import json
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from drill.checks.preflight import NEEDED
from drill.errors import CannotMeasure
from drill.metrics.prometheus import PrometheusClient
from tests.library.server import CLASSIC, OPENMETRICS, Answer, ScriptedService
from tests.prometheus.server import BINARY, free_port, wait_for

SERVED = 'retrieval_requests_total{backend="faiss",tenant="default"}'
SHADOW = 'retrieval_shadow_dropped_total{reason="timeout"}'
BUCKETS = ("0.01", "0.1", "1.0", "+Inf")
GAUGES = ("process_start_time_seconds", "retrieval_dual_write_outbox_size")
HISTOGRAMS = ("retrieval_latency_seconds", "retrieval_shadow_agreement_at_5")


class Exporter(ScriptedService):
    """One instance's page: every family is described, children are born when they first move."""

    def __init__(self, *, openmetrics: bool = True, without: Sequence[str] = ()) -> None:
        super().__init__()
        self.openmetrics, self.without = openmetrics, without
        self.values: Counter[str] = Counter()
        self.started = 1_700_000_000.0
        self.behind_s: float | None = None
        """The page's own times lie so far in the past; ``None``: it has none."""
        self.extra: tuple[str, ...] = ()
        """Lines that stand at the end of the page as they are."""
        self.answering = threading.Event()
        self.answering.set()
        self.script["GET", "/metrics"] = lambda _body: self._page()

    @property
    def target(self) -> str:
        return self.url.removeprefix("http://")

    def serve(self, count: int) -> None:
        """Serve ``count`` requests from FAISS, 5 ms each."""
        self.values[SERVED] += count
        for bound in BUCKETS:
            self.values[f'retrieval_latency_seconds_bucket{{backend="faiss",le="{bound}"}}'] += count
        self.values['retrieval_latency_seconds_count{backend="faiss"}'] += count
        self.values['retrieval_latency_seconds_sum{backend="faiss"}'] += count

    def restart(self) -> None:
        """Become another process, whose counters are unborn again."""
        self.started += 7
        self.values.clear()

    def _page(self) -> Answer:
        self.answering.wait(10)
        if self.values["broken"]:
            return Answer(b"", 500)
        return Answer(self._text().encode(), kind=OPENMETRICS if self.openmetrics else CLASSIC)

    def _text(self) -> str:
        lines = []
        values = {**self.values, "process_start_time_seconds": self.started}
        stamp = ""
        if self.behind_s is not None:
            then = time.time() - self.behind_s
            stamp = f" {then:.3f}" if self.openmetrics else f" {1000 * then:.0f}"
        for name in (*NEEDED, "http_requests_total"):
            if name in self.without:
                continue
            kind = "gauge" if name in GAUGES else "histogram" if name in HISTOGRAMS else "counter"
            lines.append(f"# TYPE {name.removesuffix('_total') if self.openmetrics else name} {kind}")
            mine = (key for key in values if _family(key) == name.removesuffix("_total"))
            lines += [f"{key} {values[key]}{stamp}" for key in mine]
        return "\n".join([*lines, *self.extra, *(["# EOF"] if self.openmetrics else []), ""])


def _family(series: str) -> str:
    name = series.partition("{")[0]
    suffix = next((end for end in ("_total", "_bucket", "_count", "_sum") if name.endswith(end)), "")
    return name.removesuffix(suffix)


@contextmanager
def scraping(folder: Path, jobs: Sequence[Mapping[str, object]], *options: str, ready: int) -> Iterator[str]:
    """Run Prometheus with these scrape configurations until ``ready`` targets are up, and yield its URL."""
    assert BINARY is not None
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": list(jobs)}))
    process = subprocess.Popen(
        [
            str(shutil.which(BINARY)),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
            *options,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = PrometheusClient(f"http://127.0.0.1:{port}")

    def up() -> bool:
        try:
            return len(client.vector("count_over_time(up[1m]) >= 3 and up == 1")) >= ready
        except CannotMeasure:
            assert process.poll() is None
            return False

    try:
        wait_for(up, f"{ready} targets are up")
        yield f"http://127.0.0.1:{port}"
    finally:
        client.close()
        process.terminate()
        process.wait(10)


def job(name: str, *exporters: Exporter, interval: str = "400ms", **more: object) -> dict[str, object]:
    """Return a scrape configuration."""
    targets = [{"targets": [exporter.target for exporter in exporters]}]
    return {
        "job_name": name,
        "scrape_interval": interval,
        "scrape_timeout": interval,
        "static_configs": targets,
        **more,
    }

"""Latencies of one endpoint as Debian's load tool ``hey`` reads them."""

import csv
import json
import shutil
import subprocess
from collections.abc import Mapping

NAME = "hey"


def missing() -> str:
    """Say what to install; empty if the tool is there."""
    return "" if shutil.which(NAME) else f"{NAME} is not installed: apt-get install {NAME}, then run again"


def latencies(url: str, body: Mapping[str, object], rate: float, seconds: float) -> list[float]:
    """POST ``body`` at ``rate`` per second on one connection; return the seconds of every answer, in order sent."""
    command = [NAME, "-z", f"{seconds:g}s", "-c", "1", "-q", f"{rate:g}", "-o", "csv", "-m", "POST"]
    command += ["-T", "application/json", "-d", json.dumps(body), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    rows = sorted(csv.DictReader(done.stdout.splitlines()), key=lambda row: float(row["offset"]))
    if any(row["status-code"] != "200" for row in rows):
        raise RuntimeError(f"{NAME} got answers other than 200 from {url}")
    return [float(row["response-time"]) for row in rows]

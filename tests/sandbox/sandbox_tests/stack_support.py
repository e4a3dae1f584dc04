"""What the end-to-end tests share: asking the service, counting in metrics and database, editing the env file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from sandbox.service.target import TABLE
from sandbox.stack import Stack

ROLLED_BACK = {"FF_RETRIEVAL_DUAL_WRITE": "OFF", "FF_RETRIEVAL_SHADOW_READ": "OFF", "RETRIEVAL_BACKEND": "faiss"}


def post(url: str, path: str, body: object) -> httpx.Response:
    return httpx.post(url + path, json=body, timeout=5.0)


def search(url: str, query: str = "generator function", tenant: str = "default") -> httpx.Response:
    return post(url, "/internal/retrieval/search", {"query": query, "top_k": 5, "tenant": tenant})


def scrape(url: str) -> dict[str, list[Any]]:
    answer = httpx.get(f"{url}/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}, timeout=5.0)
    return {family.name: family.samples for family in text_string_to_metric_families(answer.text)}  # type: ignore[no-untyped-call]


def counted(url: str, name: str, **labels: str) -> float:
    samples = scrape(url)[name.removesuffix("_total")]
    return sum(float(one.value) for one in samples if one.name == name and labels.items() <= one.labels.items())


def status(url: str) -> dict[str, Any]:
    return dict(httpx.get(f"{url}/internal/retrieval/status", timeout=5.0).json())


def in_database(stack: Stack, where: str) -> int:
    with psycopg.connect(stack.dsn) as connection:
        row = connection.execute(f"select count(*) from {TABLE} where {where}").fetchone()
    assert row is not None
    return int(row[0])


def until(condition: Callable[[], bool], limit_s: float = 8.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.02)


@contextmanager
def env_edited(stack: Stack, changes: dict[str, str]) -> Iterator[None]:
    before = stack.env_file.read_text()
    lines = []
    for line in before.split("\n"):
        key = line.partition("=")[0]
        lines.append(f"{key}={changes[key]}" if key in changes else line)
    stack.env_file.write_text("\n".join(lines))
    try:
        yield
    finally:
        stack.env_file.write_text(before)


@contextmanager
def faulty(stack: Stack, name: str, instance: int | None = None) -> Iterator[None]:
    stack.fault(name, instance)
    try:
        yield
    finally:
        stack.fault(name, instance, on=False)


@contextmanager
def rolled_back_once(stack: Stack) -> Iterator[None]:
    """Run on FAISS alone; the restart is paid by the first test that asks, the file stays edited for the others."""
    if status(stack.base_urls[0])["backend"] != "faiss":
        text = (
            stack.env_file.read_text()
            .replace("=ON", "=OFF")
            .replace("RETRIEVAL_BACKEND=pgvector", "RETRIEVAL_BACKEND=faiss", 1)
        )
        stack.env_file.write_text(text)
        stack.reload()
    yield

"""A metrics page in the binary format, the only one that carries native histograms, written by hand."""

import struct
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
COUNTER, GAUGE, HISTOGRAM = 0, 1, 4


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def counter(value: float, labels: Mapping[str, str] | None = None) -> bytes:
    """Return one series of a counter."""
    return _labels(labels) + _bytes(3, _double(1, value))


def gauge(value: float, labels: Mapping[str, str] | None = None) -> bytes:
    """Return one series of a gauge."""
    return _labels(labels) + _bytes(2, _double(1, value))


def histogram(count: int, labels: Mapping[str, str] | None = None) -> bytes:
    """Return a native histogram of ``count`` observations of about 5 ms, in one bucket of schema 0."""
    zigzag = count << 1
    span = _bytes(12, _number(1, 13) + _number(2, 1))  # one bucket, at index -7: (1/256, 1/128]
    native = _number(1, count) + _double(2, count * 0.005) + _number(5, 0) + _double(6, 1e-9)
    return _labels(labels) + _bytes(7, native + span + _number(13, zigzag))


def family(name: str, kind: int, metrics: Iterable[bytes]) -> bytes:
    """Return a family with its series, as one message of the format."""
    data = _bytes(1, name.encode()) + _bytes(2, b"help") + _number(3, kind)
    data += b"".join(_bytes(4, metric) for metric in metrics)
    return _varint(len(data)) + data


def page(registry: "CollectorRegistry") -> bytes:
    """Return all counters, gauges and histograms of ``registry``, the histograms as native ones."""
    return b"".join(_family(one) for one in registry.collect())


def _family(one: "Metric") -> bytes:
    counted = {"counter": "_total", "histogram": "_count"}.get(one.type, "")
    mine = [sample for sample in one.samples if sample.name == one.name + counted]
    if one.type == "histogram":
        return family(one.name, HISTOGRAM, [histogram(int(found.value), found.labels) for found in mine])
    if one.type == "counter":
        return family(f"{one.name}_total", COUNTER, [counter(found.value, found.labels) for found in mine])
    return family(one.name, GAUGE, [gauge(found.value, found.labels) for found in mine])


def _labels(labels: Mapping[str, str] | None) -> bytes:
    return b"".join(
        _bytes(1, _bytes(1, name.encode()) + _bytes(2, text.encode())) for name, text in (labels or {}).items()
    )

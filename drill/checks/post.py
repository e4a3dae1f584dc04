"""After the rollback: is the service still where it was put, and is everything else silent."""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from drill.before import still_down
from drill.checks.endpoints import GONE, WRONG_METHOD
from drill.checks.history import last_success
from drill.checks.silence import doubts, judge_silence, short
from drill.checks.unknown_names import circuit_is_open, only_backend, unknown_skips
from drill.checks.unmeasured import said, stood_still, too_few
from drill.context import Drill
from drill.http import Reply
from drill.metrics.snapshot import Delta
from drill.observation import Window
from drill.proof.judge import prove_backend, prove_shadow
from drill.record import Evidence, Scalar
from drill.stats import quantile, quantile_bounds, ratio_bounds
from drill.verdict import Verdict, worst
from drill.words import count

if TYPE_CHECKING:
    from drill.probe import ProbeResult

INTERNAL = "/internal/retrieval/"
MOST_ENDPOINTS = 50
"""Endpoints of one instance that are asked; a service that lists more would be asked for hours."""
LONGEST_S = 60.0
"""Listed endpoints are asked for so long, all instances together; search and embed in any case."""
_PATH = re.compile(r"(?!.*/\.\.(?:/|\Z))[\w.~!$&'()*+,;=:@%/-]{1,300}", re.ASCII)
"""Of a URL (RFC 3986, 3.3), without a query; what a listing says beyond that is not asked for."""
OUTBOX = "retrieval_dual_write_outbox_size"
NOISE = 0.2
"""Share of the SLO below which a change of latency is noise: a median of 3 ms that becomes 30 ms while other processes
take the processor is not unstable where 150 ms are allowed."""
HANDOVERS = 4
"""How often a request waits for the processor between the drill and the service, there and back. Where the drill's own
machine comes late to send, every handover on it may be as late, and what is measured is that machine."""
RARE = 0.01
"""The lowest sampling of shadow-read that is expected anywhere."""
ALIKE = 1.2
"""Rates that differ by less than this are the same load."""
MIN_HALF = 10
"""Probes in each half below which the blocks of a half are single probes."""
BLOCKS = 5
"""Blocks of time that each half of the window is divided into, to tell a change that lasts from one stall: latencies
next to each other in time are alike, which a bootstrap of single ones does not know (METRICS.md, A4)."""


def endpoints(drill: Drill, _window: Window) -> Evidence:
    """Ask every ``/internal/retrieval/*`` endpoint of every instance, found through ``/openapi.json`` if it is served.

    GET endpoints are asked; search and embed get a real request; of others, which may write, only OPTIONS is asked.
    """
    problems: list[str] = []
    detail: dict[str, Scalar] = {}
    apart: list[Reply] = []
    late, deadline = 0, time.monotonic() + LONGEST_S
    always = (drill.config.service.search_path, drill.config.service.embed_path)
    for instance in drill.service.instances:
        for path, methods in _listed(drill, instance).items():
            if path not in always and time.monotonic() >= deadline:
                late += 1
                continue
            method, reply = _ask(drill, instance, path, methods)
            if reply.apart:
                apart.append(reply)
                continue
            if not _answers(method, reply) and not reply.dead:  # one failed request is for slo.errors to judge
                method, reply = _ask(drill, instance, path, methods)
            detail[f"{short(instance)}{path}"] = reply.seen() if reply.error else f"HTTP {reply.status}"
            if not _answers(method, reply):
                problems.append(f"{short(instance)}{path}: {reply.seen()}")
    value = len(detail) - len(problems)
    seen = Evidence(Verdict.NOT_RUN, "", value, "==", len(detail), unit=" endpoints", detail=detail)
    if problems:
        return seen.judged(Verdict.FAIL, "; ".join(problems))
    unasked = said(apart) or (
        f"{count(late, 'endpoint', 'was', 'were')} not asked within {LONGEST_S:.0f} s" if late else ""
    )
    return seen.judged(
        Verdict.INCONCLUSIVE if unasked else Verdict.PASS, unasked or count(value, "endpoint", "answers", "answer")
    )


def _listed(drill: Drill, instance: str) -> Mapping[str, set[str]]:
    """Return path -> methods of the internal endpoints: those of the configuration, and those the service lists."""
    settings = drill.config.service
    found = {settings.search_path: {"post"}, settings.embed_path: {"post"}}
    listed = drill.client.get(instance + "/openapi.json").json()
    paths = listed.get("paths") if isinstance(listed, dict) else None
    for path, operations in (paths if isinstance(paths, dict) else {}).items():
        known = path in found or len(found) < MOST_ENDPOINTS
        if known and path.startswith(INTERNAL) and _PATH.fullmatch(path) and isinstance(operations, dict):
            found.setdefault(path, set()).update(str(method).lower() for method in operations)
    return found


def _ask(drill: Drill, instance: str, path: str, methods: set[str]) -> tuple[str, Reply]:
    settings = drill.config.service
    if path == settings.search_path:
        tenant, query = drill.queries[0]
        return "POST", drill.service.search(instance, query, tenant, drill.config.smoke.top_k)
    if path == settings.embed_path:
        return "POST", drill.client.post(instance + path, {"texts": ["rollback drill"]})
    method = "GET" if "get" in methods else "OPTIONS"
    reply = drill.client.request(method, instance + path)
    if method == "OPTIONS" and reply.status in GONE:  # of a path that is there, GET says that it is another method's
        got = drill.client.get(instance + path)
        return method, got if got.status == WRONG_METHOD else reply
    return method, reply


def _answers(method: str, reply: Reply) -> bool:
    """Whether an endpoint is there and well.

    To OPTIONS a server may answer what it likes, as long as it does not say that nothing is there: 405 and 501 say that
    it knows the path and not the method, 401 that it asks who wants to know. 422 to GET says that parameters are
    missing. A page in HTML is somebody else's answer: a login page's, with status 200.
    """
    if method == "OPTIONS":
        return not reply.error and reply.status not in {*GONE, 500, 502, 503, 504}
    if reply.ok:
        return "html" not in reply.content_type
    return not reply.error and (method, reply.status) == ("GET", 422)


def primary_latency(drill: Drill, window: Window) -> Evidence:
    """Judge that latency is stable inside the window, and against the last successful drill of this env."""
    slo = drill.config.slo
    found = [r for r in drill.prober.results(window.first.ended, window.last.began) if r.ok]
    answered = equal_load(found)
    probes, half = [r.latency_s * 1000 for r in answered], len(answered) // 2
    early, late = probes[:half], probes[half:]
    if len(found) < slo.min_requests or half < MIN_HALF:
        reason = too_few(drill, window, len(found), "probes answered")
        if len(found) >= slo.min_requests:
            reason = f"{len(probes)} of {len(found)} probes were sent at one rate: only equal load can be compared"
        return Evidence(Verdict.INCONCLUSIVE, reason, samples=len(probes), window_s=window.seconds)
    bars = (("P50", 0.5, slo.max_p50_ratio, slo.p50_ms), ("P95", 0.95, slo.max_p95_ratio, slo.p95_ms))
    detail: dict[str, Scalar] = {**window.asked}
    for third in range(3):
        part = sorted(probes[third * len(probes) // 3 : (third + 1) * len(probes) // 3])
        for name, q, _, _ in bars:
            detail[f"{name} ms in third {third + 1}"] = round(quantile(part, q), 2)
    delays = sorted(r.late_s * 1000 for r in answered[half:])
    parts = []
    for name, q, ratio, limit in bars:
        noise = NOISE * limit + HANDOVERS * quantile(delays, q)
        detail[f"{name} ms of noise allowed"] = round(noise, 1)
        parts.append(stable(name, early, late, q, ratio, limit, noise))
        parts.append(_as_last_time(drill, name, late, q, ratio, noise, detail))
    parts.append(doubts(window, ("retrieval_latency_seconds",)))
    parts.append(stood_still(drill, window))
    final = worst(part[0] for part in parts)
    reason = "; ".join(text for part, text in parts if part is final and text)
    medians = [round(quantile(sorted(part), 0.5), 2) for part in (early, late)]
    threshold = round(max(medians[0] * slo.max_p50_ratio, medians[0] + NOISE * slo.p50_ms), 2)
    return Evidence(final, reason, medians[1], "<=", threshold, len(probes), window.seconds, " ms", detail)


def stable(
    name: str, early: list[float], late: list[float], q: float, ratio: float, limit: float, noise: float | None = None
) -> tuple[Verdict, str]:
    """Judge the later half against the earlier one by the three-way rule (METRICS.md, A4).

    Growth by ``noise`` milliseconds is none; by default by a share of ``limit``.
    """
    noise = NOISE * limit if noise is None else noise
    low, high = ratio_bounds(early, late, q)
    old, new = quantile(sorted(early), q), quantile(sorted(late), q)
    text = f"{name} {old:.1f} ms, then {new:.1f} ms"
    blocks, bar = _blocks(late, q), ratio * quantile(_blocks(early, q), 0.5)
    grown = low > ratio and new - old > noise
    if grown and blocks[0] > bar:
        return Verdict.FAIL, f"{text}: grew more than {ratio:g} times inside the window"
    if grown and quantile(blocks, 0.5) > bar:
        return Verdict.INCONCLUSIVE, f"{text}: slower for most of the later half, but not throughout: observe longer"
    if high <= ratio or new - old <= noise or quantile_bounds(sorted(late), q)[1] <= limit:
        return Verdict.PASS, text
    return Verdict.INCONCLUSIVE, f"{text}: the ratio may be up to {high:.2f}, limit {ratio:g}"


def _blocks(values: list[float], q: float) -> list[float]:
    """Return the quantiles of the blocks of ``values``, lowest first: a stall moves those of the blocks it falls into.

    What lasts moves all of them. A snapshot that takes the processor now and then moves some, even most.
    """
    edges = [len(values) * number // BLOCKS for number in range(BLOCKS + 1)]
    return sorted(quantile(sorted(values[begin:end]), q) for begin, end in pairwise(edges) if end > begin)


def equal_load(found: Sequence["ProbeResult"]) -> list["ProbeResult"]:
    """Return the probes that were sent at about the rate at which most were sent, in order of time."""
    sent = Counter(result.rate for result in found)

    def alike(rate: float) -> list[float]:
        return [other for other in sent if rate / ALIKE <= other <= rate * ALIKE]

    most = max(sent, key=lambda rate: sum(sent[other] for other in alike(rate)), default=0.0)
    return [result for result in found if result.rate in alike(most)]


def _as_last_time(
    drill: Drill, name: str, late: list[float], q: float, ratio: float, noise: float, detail: dict[str, Scalar]
) -> tuple[Verdict, str]:
    """Judge against the last successful drill of this env; the first drill has nothing to be compared with."""
    last = last_success(drill.journal, drill.record.env_id).get(name)
    if last is None:
        return Verdict.PASS, ""
    detail[f"{name} ms in the last successful drill"] = last
    low, _ = quantile_bounds(sorted(late), q)
    low = min(low, _blocks(late, q)[0])
    if low > last * ratio and low - last > noise:
        return Verdict.FAIL, f"{name} above {low:.1f} ms, {last:.1f} ms in the last successful drill"
    return Verdict.PASS, ""


def target_errors(drill: Drill, window: Window) -> Evidence:
    """Judge that nothing has failed towards the target since the restart."""
    ours = {"faiss", only_backend(drill, window) or "faiss"}

    def growth(delta: Delta) -> Mapping[str, float]:
        reads = {
            f"errors{{backend={labels.get('backend', '')}}}": value
            for labels, value in delta.moved("retrieval_errors_total")
            if labels.get("backend", "faiss") not in ours
        }
        return {**reads, "dual_write_errors": delta.growth("retrieval_dual_write_errors_total")}

    families = ("retrieval_errors_total", "retrieval_dual_write_errors_total")
    return judge_silence(window, families, growth, what="errors towards the target")


def circuit_open(drill: Drill, window: Window) -> Evidence:
    """Judge that no dual-write is skipped for an open circuit, and that the outbox does not grow."""
    return judge_circuit(drill, window, drill.record.entries["disable_dual_write"].evidence.proof)


def judge_circuit(drill: Drill, window: Window, proof: str) -> Evidence:
    """Judge circuit and outbox; ``proof``: what the proof rests on that dual-write is off, empty if it is on."""
    evidence = _circuit(drill, window)
    unknown = unknown_skips(window.deltas)
    if evidence.verdict is not Verdict.PASS or not unknown.text:
        return evidence
    final = Verdict.PASS if unknown.harmless(proof) else Verdict.INCONCLUSIVE
    return evidence.judged(final, f"{evidence.reason}; {unknown.text}")


def _circuit(drill: Drill, window: Window) -> Evidence:
    rate = drill.config.slo.max_circuit_open_per_s
    limit = rate * max(window.seconds, 1.0)

    def growth(delta: Delta) -> Mapping[str, float]:
        moved = delta.moved("retrieval_dual_write_skipped_total")
        skipped = sum(value for labels, value in moved if circuit_is_open(labels))
        grown = delta.after.total(OUTBOX) - _outbox_at_half_time(drill, window, delta)
        return {"skipped{reason=circuit_open}": skipped, "outbox growth": grown}

    families = ("retrieval_dual_write_skipped_total", OUTBOX)
    return judge_silence(window, families, growth, what="circuit breaker and outbox", since_boot=False, limit=limit)


def _outbox_at_half_time(drill: Drill, window: Window, delta: Delta) -> float:
    """Return the size of an instance's outbox at the last reading of the first half, else at the first reading.

    An outbox that outlives its process is taken up some time after the boot: that is no growth.
    """
    half = (window.first.ended + window.last.began) / 2
    sizes = [
        sum(value for (sample, _), value in moment.values[name].items() if sample == OUTBOX)
        for moment in drill.trace.moments
        for name, one in window.deltas.items()
        if one is delta and name in moment.values and window.first.ended < moment.at <= half
    ]
    return sizes[-1] if sizes else delta.before.total(OUTBOX)


def shadow_silent(drill: Drill, window: Window) -> Evidence:
    """Judge that every ``retrieval_shadow_*`` series stayed flat while requests were served, and enough of them.

    A sampling of 1 % shows nothing in most short windows: silence of an instance that served fewer than
    ``min_requests`` requests proves little (0.99^300 = 5 %, the "rule of three" of METRICS.md, A4).
    """
    evidence, least = prove_shadow(drill, window), drill.config.slo.min_requests
    if evidence.verdict is not Verdict.PASS:
        return evidence
    name, served = min(_served(window).items(), key=lambda item: item[1])
    missed = f"a sampling of {RARE:.0%} would be missed in {(1 - RARE) ** served:.1%}"
    if served < least:
        reason = f"{short(name)} served {count(served, 'request')} since its reload, {least} needed: {missed}"
        return evidence.judged(Verdict.INCONCLUSIVE, reason)
    return evidence.judged(Verdict.PASS, f"{evidence.reason}, {count(served, 'request')} or more on each: {missed}")


def _served(window: Window) -> Mapping[str, float]:
    return {name: delta.growth("retrieval_requests_total") for name, delta in window.since_boot.items()}


def backend(drill: Drill, window: Window) -> Evidence:
    """Judge once more, with a reading taken now, that every instance still answers from FAISS only, and is healthy."""
    now = drill.glance_at_metrics() if drill.source.waits else drill.read_metrics()
    evidence = prove_backend(drill, drill.window(now))
    health = drill.service.health()
    sick = still_down(drill, health, window.first.ended)
    if sick:
        seen = "; ".join(f"{short(one.instance)}: {one.reply.seen()}" for one in sick)
        return replace(evidence, verdict=Verdict.FAIL, reason=f"not healthy at the end: {seen}")
    if evidence.verdict is Verdict.PASS and (unasked := said(one.reply for one in health)):
        return evidence.judged(Verdict.INCONCLUSIVE, f"health at the end: {unasked}")
    return evidence

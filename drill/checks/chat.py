"""Step 5: does the chat answer, with what it should say, and from retrieval."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from drill.checks.endpoints import named
from drill.checks.findings import Findings
from drill.checks.mendable import Kind, Problem, foretell
from drill.checks.retrieval_asked import RetrievalAsked
from drill.checks.silence import short
from drill.config import Chat
from drill.context import Drill
from drill.http import Reply
from drill.record import Evidence, Scalar
from drill.verdict import Verdict

TRIES = 3
MAY_BE_USERS = "not told from what users ask meanwhile: [service.chat] expect_text proves that it was asked"


def chat(drill: Drill) -> Evidence:
    """Ask every instance's chat a few times: a text, with what is expected in it, for which retrieval was asked."""
    service = drill.config.service
    if not service.chat_path:
        return Evidence(Verdict.NOT_RUN, 'no chat endpoint is configured (chat_path = "")')
    found, witness = Findings(), RetrievalAsked(drill)
    dead: set[str] = set()
    for instance, number in _repeated(drill.service.instances, TRIES):
        if instance in dead:
            continue
        ask = partial(drill.client.post, instance + service.chat_path, service.chat_body)
        reply = found.ask(partial(witness.around, ask))
        dead |= {instance} if reply.dead else set()
        if not reply.apart:
            _judge(drill, found, reply, instance, f"{short(instance)} try {number}")
    found.too_many_failed(drill.config.slo.error_rate)
    return _with_retrieval(service.chat, found.evidence(f"{found.asked} non-empty answers"), witness)


def _judge(drill: Drill, found: Findings, reply: Reply, instance: str, where: str) -> None:
    """Note what is wrong with an answer."""
    service = drill.config.service
    data = reply.json()
    answer = data.get(service.chat_answer_key) if isinstance(data, dict) else None
    if not isinstance(answer, str):
        endpoint = named(drill, "chat_path")
        found.add(where, *found.refused(drill, instance, endpoint, reply, "JSON with an answer"))
    elif not answer.strip():
        found.add(where, "an empty answer", _fallback(drill, instance))
    elif wrong := _said(service.chat, answer):
        found.add(where, wrong, _fallback(drill, instance))


def _said(settings: Chat, answer: str) -> str:
    """Say what is wrong with an answer's text, without a word of it; case and white space do not count."""
    text = _plain(answer)
    if settings.forbid_text and _plain(settings.forbid_text) in text:
        return "the answer holds what [service.chat] forbid_text forbids"
    if settings.expect_text and _plain(settings.expect_text) not in text:
        return "the answer does not hold what [service.chat] expect_text expects"
    return ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _fallback(drill: Drill, instance: str) -> Kind:
    """Say whether retrieval may be the reason: a chat falls back where its searches fail or take too long."""
    if drill.judged:
        return Kind.FALLBACK
    tenant, query = drill.queries[0]
    reply = drill.service.search(instance, query, tenant, drill.config.smoke.top_k)
    data = reply.json()
    well = isinstance(data, dict) and bool(data.get("results")) and reply.latency_s * 1000 <= drill.config.slo.p95_ms
    return Kind.FALLBACK if well else Kind.FALLBACK_WHILE_SICK


def _with_retrieval(settings: Chat, evidence: Evidence, witness: RetrievalAsked) -> Evidence:
    """Return ``evidence`` with what was seen of retrieval; a chat that did not ask it is not proven."""
    if evidence.verdict is not Verdict.PASS:
        return evidence
    if not settings.asks_retrieval or witness.unknown:
        why = witness.unknown if settings.asks_retrieval else "[service.chat] asks_retrieval = false"
        detail: dict[str, Scalar] = {**evidence.detail, "retrieval for the chat": f"not looked at: {why}"}
        return replace(evidence, detail=detail)
    asked = f"retrieval was asked {witness.most:g} times meanwhile"
    if not witness.missing:
        by_users = {} if witness.told_apart or settings.expect_text else {"retrieval for the chat": MAY_BE_USERS}
        passed = evidence.judged(Verdict.PASS, f"{evidence.reason}; {asked}")
        return replace(passed, detail={**passed.detail, **by_users})
    reason = (
        f"{witness.answers} answers, but {asked}: that they come from retrieval is not proven. Ask what only a "
        "document answers ([service] chat_body), or set [service.chat] asks_retrieval = false if the chat asks another "
        "service or keeps its answers"
    )
    told = foretell([Problem(reason, Kind.NO_RETRIEVAL)])
    return replace(evidence.judged(Verdict.INCONCLUSIVE, reason), foretold=told)


def _repeated(instances: tuple[str, ...], times: int) -> Iterator[tuple[str, int]]:
    return ((instance, number + 1) for number in range(times) for instance in instances)

"""Step 5: does every instance give real answers, not just a status."""

import math
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from drill.answered import results_of
from drill.checks.endpoints import named
from drill.checks.faiss_answers import in_newer
from drill.checks.findings import Findings
from drill.checks.mendable import Kind
from drill.checks.silence import short
from drill.context import Drill
from drill.document_id import id_text
from drill.fresh import OWN_CHOICE
from drill.http import Reply
from drill.load import MIXED_ASKS
from drill.primary import Primary
from drill.record import Evidence
from drill.verdict import Verdict
from drill.words import count

WANTED = "JSON with a list of results"
TEXTS = ("rollback drill", "a second and longer text that must not embed like the first one")
VECTORS = count(len(TEXTS), "vector")
NEW = "query that nobody has asked before"
"""What no cache can answer; where it is not answered with documents, the index behind the cache is not well."""
CACHED = ", while known queries are answered, as by a cache"
NONE = "no results"


def search(drill: Drill) -> Evidence:
    """Ask every instance every query: known documents of the right tenant, the golden ones, not always the same.

    And for each tenant a query that nobody has asked before, so that no cache stands in for the index.
    """
    listed = bool(drill.config.service.instances)
    times = 1 if listed else math.ceil(MIXED_ASKS / len(drill.queries))
    return search_at(drill, drill.service.instances, times)


def search_at(drill: Drill, instances: Sequence[str], times: int = 1) -> Evidence:
    """Ask ``instances`` (URLs) every query, ``times`` times: again and again where replicas share one address."""
    found = Findings()
    documents = _documents(drill)
    seen: dict[str, dict[str, tuple[str, ...]]] = {tenant: {} for tenant, _ in drill.queries}
    for instance, time_asked in ((instance, number) for instance in instances for number in range(1, times + 1)):
        answers = _ask_all(drill, instance, found, time_asked)
        for tenant in seen:
            given = [ids for (asked, where), ids in answers.items() if asked == tenant and NEW not in where]
            if len(given) > 1 and len(set(given)) == 1 and any(given):
                same = f"the same results for {len(given)} queries ({tenant})"
                found.add(short(instance), same, documents)
        for (tenant, where), ids in answers.items():
            seen[tenant][where] = ids
    if drill.primary is not None:
        for tenant, given_at in seen.items():
            _look_up(drill, drill.primary, tenant, given_at, found)
    found.too_many_failed(drill.config.slo.error_rate)
    evidence = found.evidence(
        f"{found.asked} {'query' if found.asked == 1 else 'queries'} answered with documents that FAISS has"
    )
    if evidence.verdict is Verdict.PASS and drill.primary is None:
        return evidence.judged(Verdict.INCONCLUSIVE, "answers could not be looked up in FAISS: set [primary] path")
    return evidence


def _ask_all(drill: Drill, instance: str, found: Findings, time_asked: int) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the ids that an instance answered, by (tenant, which query)."""
    again = f", asked again {time_asked}" if time_asked > 1 else ""
    answers: dict[tuple[str, str], tuple[str, ...]] = {}
    first = dict(reversed(drill.queries))
    known = [(tenant, query, f"query {number}") for number, (tenant, query) in enumerate(drill.queries, 1)]
    new = [(tenant, drill.fresh.of(query), NEW) for tenant, query in first.items() if drill.fresh]
    for tenant, query, name in (*known, *new):
        where = f"{short(instance)} {name} ({tenant}){again}"
        reply = found.ask(partial(drill.service.search, instance, query, tenant, drill.config.smoke.top_k))
        if reply.apart:
            continue
        own = [ids for (asked, place), ids in answers.items() if asked == tenant and NEW not in place]
        note = CACHED if name == NEW and own and all(own) else ""
        answers[tenant, where] = _ids(drill, found, reply, instance, where, tenant, query, note)
        if reply.dead:  # its other queries would wait as long
            break
    return answers


def _ids(
    drill: Drill, found: Findings, reply: Reply, instance: str, where: str, tenant: str, query: str, note: str
) -> tuple[str, ...]:
    """Return the ids of an answer; what is wrong with it is noted, with ``note`` behind."""
    results = results_of(reply)
    if results is None:
        seen, kind = found.refused(drill, instance, named(drill, "search_path"), reply, WANTED)
        found.add(where, seen + note, kind)
        return ()
    wrong = _wrong(results, tenant, twice=_twice(drill, tenant))
    ids = () if wrong else tuple(id_text(item["id"]) for item in results)
    if note and wrong == NONE:
        found.doubts.append(f"{where}: {NONE}{note} of a dead index; {OWN_CHOICE}")
    elif problem := wrong or _golden(drill, tenant, query, ids):
        found.add(where, problem + note, _documents(drill))
    return ids


def _documents(drill: Drill) -> Kind:
    """Return whose documents a search answers with, by the env file."""
    pending = any(change.key == "RETRIEVAL_BACKEND" for change in drill.plan.changes)
    return Kind.DOCUMENTS if pending else Kind.OWN_DOCUMENTS


def _twice(drill: Drill, tenant: str) -> bool:
    """Whether FAISS itself holds documents of this tenant more than once: an answer may then, too."""
    known = drill.faiss_before.get(tenant)
    return known is not None and known.facts.duplicate_ids > 0


def _wrong(results: list[Any], tenant: str, *, twice: bool = False) -> str:
    """Say what is wrong with results; empty if nothing is.

    ``twice``: a document may be among them again, as long as it is not the only one.
    """
    if not results:
        return NONE
    for item in results:
        if not isinstance(item, dict) or not id_text(item.get("id")) or not _is_score(item.get("score")):
            return "a result without an id or a score (finite number)"
        metadata = item.get("metadata")
        if not isinstance(metadata, dict):
            return "a result without metadata"
        if metadata.get("tenant", tenant) != tenant:
            return "a result of another tenant"
    different = len({id_text(item["id"]) for item in results})
    return "" if different == len(results) or (twice and different > 1) else "the same document twice"


def _golden(drill: Drill, tenant: str, query: str, ids: tuple[str, ...]) -> str:
    first = drill.config.service.tenants[0]
    for golden in drill.config.smoke.queries:
        if (golden.tenant or first, golden.query) == (tenant, query):
            missing = len(set(golden.expect_ids) - set(ids))
            return f"{missing} of {len(golden.expect_ids)} golden documents not among the results" if missing else ""
    return ""


def _look_up(
    drill: Drill, primary: Primary, tenant: str, answers: Mapping[str, tuple[str, ...]], found: Findings
) -> None:
    """Note answers with documents that this tenant's FAISS does not have; the inventory is read once.

    An answer of mostly unknown ones is wrong. A few may be newer than the snapshot on the disk.
    """
    asked = {name for ids in answers.values() for name in ids}
    own = {name for name in asked if drill.config.canary.is_one(name)}
    version = primary.version(tenant)
    known = primary.contains(tenant, asked) | own
    if drill.judged and asked - known:
        known |= in_newer(primary, tenant, asked - known, version)
    for where, ids in answers.items():
        unknown = len(set(ids) - known)
        text = f"{unknown} of {len(ids)} results are not in the FAISS inventory of this tenant"
        if 2 * unknown > len(ids):
            found.add(where, text, _documents(drill))
        elif unknown:
            found.doubts.append(f"{where}: {text}: deleted since, or the service is ahead of its snapshot on disk")


def embed(drill: Drill) -> Evidence:
    """Have every instance embed two texts: finite, not zero, of FAISS's dimension, and different."""
    found = Findings()
    endpoint = named(drill, "embed_path")
    # 0: no index was seen, or no dimension is known of it; the answers must then agree with each other
    expected = _dimension(drill, drill.config.service.tenants[0])
    dimensions: set[int] = {expected} if expected else set()
    for instance in drill.service.instances:
        reply = found.ask(partial(drill.client.post, instance + endpoint.path, {"texts": list(TEXTS)}))
        data = reply.json()
        if reply.apart:
            continue
        if data is None:
            found.add(short(instance), *found.refused(drill, instance, endpoint, reply, f"JSON with {VECTORS}"))
        elif problem := _vectors(data, dimensions):
            found.add(short(instance), problem, Kind.VECTORS)
    found.too_many_failed(drill.config.slo.error_rate)
    dimension = next(iter(dimensions), None)
    return found.evidence(f"finite, non-zero vectors of dimension {dimension}", {"dimension": dimension})


def _dimension(drill: Drill, tenant: str) -> int:
    """Return the dimension of FAISS, as it was seen before anything was written if it was looked at."""
    known = drill.faiss_before.get(tenant)
    facts = known.facts if known else drill.primary.check(tenant) if drill.primary else None
    return facts.dimension if facts else 0


def _vectors(data: Any, dimensions: set[int]) -> str:
    """Say what is wrong with an answer; ``dimensions`` gathers the dimensions seen so far."""
    vectors = data.get("vectors") if isinstance(data, dict) else None
    if not isinstance(vectors, list) or len(vectors) != len(TEXTS):
        return f"JSON of another form, expected JSON with {VECTORS}"
    for vector in vectors:
        if not isinstance(vector, list) or not all(_finite(value) for value in vector):
            return "a vector that holds something else than finite numbers"
        if not any(vector):
            return "a zero vector"
        dimensions.add(len(vector))
    if len(dimensions) > 1:
        return f"vectors of dimensions {sorted(dimensions)}, expected one, that of the FAISS index"
    return "the same vector for two different texts" if vectors[0] == vectors[1] else ""


def _is_score(value: object) -> bool:
    """Whether it is a finite number; some encoders write decimals as texts. NaN and null are no scores."""
    if isinstance(value, str):
        try:
            return math.isfinite(float(value))
        except ValueError:
            return False
    return _finite(value)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max

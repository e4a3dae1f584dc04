"""Are the answers to the probes documents of FAISS, and do they stay as many as they were."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drill.answered import Answer
from drill.checks.silence import short
from drill.context import Drill
from drill.errors import DrillError
from drill.fresh import OWN_CHOICE
from drill.observation import Window
from drill.primary import Look, Primary
from drill.verdict import Verdict, worst
from drill.words import count

if TYPE_CHECKING:
    from drill.probe import Ask

    Given = Sequence[tuple[Ask, Sequence[Answer]]]

NEWER_S = 5.0
"""How long a newer snapshot is waited for that may hold what the newest one does not."""
POLL_S = 0.1
MAX_ASKED = 5_000
"""Documents of answers that are looked up, per tenant."""
QUERIES = 3
"""Different queries from which on a handful of documents is too few."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the probes were answered of one tenant inside a window."""

    given: "Given"
    half: float
    """The middle of the window (monotonic seconds)."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Every document that was in an answer, each once."""
        return _ids(self.given)

    @property
    def by_instance(self) -> Mapping[str, "Given"]:
        """The same for each instance by itself: what one of them answers must not hide in what all do."""
        found: dict[str, list[tuple[Ask, Sequence[Answer]]]] = {}
        for asked, answers in self.given:
            found.setdefault(asked.instance, []).append((asked, answers))
        return found


def _ids(given: "Given") -> tuple[str, ...]:
    found = dict.fromkeys(key for _, answers in given for answer in answers for key in answer.ids)
    return tuple(found)[:MAX_ASKED]


def answers_in(drill: Drill, window: Window, tenant: str) -> Answers:
    """Return what was answered of ``tenant`` since ``window`` began, without the drill's own canaries."""
    begun, canary = window.first.ended, drill.config.canary
    given = [
        (asked, [replace(one, ids=tuple(key for key in one.ids if not canary.is_one(key))) for one in answers])
        for asked, answers in drill.prober.answered.since(begun).items()
        if asked.tenant == tenant
    ]
    return Answers(given, (begun + window.last.began) / 2)


def judge_answers(drill: Drill, primary: Primary, tenant: str, answers: Answers, now: Look) -> tuple[Verdict, str]:
    """Judge the answers against FAISS as it is ``now``, of each instance."""
    unknown = set(answers.ids) - now.found
    if unknown:
        unknown -= in_newer(primary, tenant, unknown, now.version)
    parts = [(Verdict.PASS, f"{count(len(answers.ids), 'document')} that probes were answered")] if answers.ids else []
    for instance, given in answers.by_instance.items():
        own = (
            _stay(given, answers.half),
            _known(given, unknown, expect_deletes=drill.config.primary.expect_deletes),
            _found_anew(given),
            _various(given, now.facts.documents, drill.config.smoke.top_k),
        )
        parts += [(verdict, f"{short(instance)}: {text}") for verdict, text in own if text]
    final = worst([Verdict.PASS, *(verdict for verdict, _ in parts)])
    return final, "; ".join(text for verdict, text in parts if verdict is final)


def _known(given: "Given", unknown: Collection[str], *, expect_deletes: bool) -> tuple[Verdict, str]:
    """Judge that what was answered is there; a service may run ahead of its snapshots, or a user delete."""
    asked = _ids(given)
    lost = len(set(asked) & set(unknown))
    seen = f"{lost} of {len(asked)} documents that probes were answered are not in FAISS"
    if 2 * lost > len(asked):
        return Verdict.FAIL, seen
    if lost and not expect_deletes:
        return Verdict.INCONCLUSIVE, f"{seen}: deleted since, or the service is ahead of its snapshot on disk"
    return Verdict.PASS, seen if lost else ""


def in_newer(primary: Primary, tenant: str, ids: Collection[str], version: str) -> set[str]:
    """Return those of ``ids`` that the next snapshot holds, if one comes soon."""
    deadline = time.monotonic() + NEWER_S
    try:
        while primary.version(tenant) == version and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return primary.contains(tenant, ids)
    except DrillError:
        return set()


def _stay(given: "Given", half: float) -> tuple[Verdict, str]:
    """Judge that what is asked again and again is not answered with far fewer documents than at first."""
    pairs = [
        (answers[0].ids, answers[-1].ids)
        for _, answers in given
        if min(one.first for one in answers) < half <= answers[-1].last
    ]
    early, late = _distinct(first for first, _ in pairs), _distinct(last for _, last in pairs)
    if 2 * late < early:
        return Verdict.FAIL, f"the same queries found {early} different documents, and later {late}"
    return Verdict.PASS, ""


def _found_anew(given: "Given") -> tuple[Verdict, str]:
    """Judge that what nobody has asked before is answered with documents, too: a cache answers only what is known.

    No more than a doubt: a service may ask for every word of a query, or for a least score.
    """
    new = [answers[-1].ids for asked, answers in given if asked.fresh]
    known = [answers[-1].ids for asked, answers in given if not asked.fresh]
    empty = new.count(())
    if 2 * empty <= len(new) or not any(known):
        return Verdict.PASS, ""
    seen = f"{empty} of {len(new)} queries that nobody had asked before found nothing, while known ones did"
    return Verdict.INCONCLUSIVE, f"{seen}: a cache may stand in for a dead index; {OWN_CHOICE}"


def _various(given: "Given", documents: int, top_k: int) -> tuple[Verdict, str]:
    """Judge that different queries do not all find the same few documents of many."""
    known = [(asked, answers) for asked, answers in given if not asked.fresh]
    queries, found = {asked.query for asked, _ in known}, _distinct(answers[-1].ids for _, answers in known)
    if len(queries) < QUERIES or found >= min(top_k, documents // 4):
        return Verdict.PASS, ""
    seen = f"{len(queries)} different queries find {found} of {documents} documents"
    return Verdict.INCONCLUSIVE, f"{seen}: does the service search all of them?"


def _distinct(answers: Iterable[Sequence[str]]) -> int:
    return len({key for ids in answers for key in ids})

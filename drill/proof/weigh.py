"""From what was seen of a flag to its rank and its verdict, instance by instance."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from drill.checks.flags import disobeyed
from drill.checks.silence import short
from drill.context import Drill
from drill.observation import Window
from drill.proof import spoken
from drill.proof.environ import Environ, environs
from drill.proof.flags import Flag
from drill.proof.ranks import Rank, weakest
from drill.proof.shared import sharing
from drill.record import Evidence, Scalar
from drill.verdict import Verdict

HOW = {
    Flag.DUAL_WRITE: "a document must be written since and looked up ([canary] tenant), or the service say its flags",
    Flag.SHADOW_READ: "its counters must have been seen to move while it was on, or the service say its flags",
    Flag.BACKEND: "its requests must be counted by backend, or the service say its flags",
}
"""What would prove a flag."""
DECIDES = {
    Rank.EFFECT: "what the service does says otherwise, and decides",
    Rank.PROCESS: "the process itself says otherwise, and decides",
}
"""What stands against an environment that has another value."""


def weigh(
    drill: Drill,
    window: Window,
    flag: Flag,
    evidence: Evidence,
    effect: Collection[str],
    remarks: Collection[str] = (),
    off: Collection[Flag] = tuple(Flag),
) -> Evidence:
    """Return ``evidence`` with its rank, and with the verdict that goes with it.

    ``effect``: the instances (URLs) on which the flag's effect was seen to be gone. What was measured and is bad, or
    could not be measured, stays so; a process that says the flag is on contradicts. A pass needs every instance on
    more than a restart. ``off`` are the flags that are as after the rollback: who disobeys one vouches for no other.
    """
    if evidence.verdict is Verdict.FAIL:
        causes = _shadowed(environs(drill, window), flag, {})
        return replace(evidence, reason="; ".join((evidence.reason, *causes)))
    said = spoken.ask(drill, workers=sharing(window))
    against = [short(url) for url, one in said.items() if one.rolled_back.get(flag) is False]
    if against:
        reason = f"{', '.join(against)} says itself that {flag.key} is not {flag.rolled_back}; {evidence.reason}"
        return evidence.judged(Verdict.FAIL, reason)
    around = environs(drill, window)
    words = _words(around, flag, Rank.STARTED) | _words(said, flag, Rank.PROCESS)
    ranks = _ranks(drill, window, effect, words, off)
    rank = weakest(list(ranks.values()))
    problems = dict.fromkeys(
        (*remarks, *(one.problem for one in said.values() if one.problem), *_shadowed(around, flag, ranks))
    )
    detail: dict[str, Scalar] = {
        **evidence.detail,
        **{f"proof {short(url)}": found.words for url, found in ranks.items()},
        **{f"remark {number}": text for number, text in enumerate(problems, 1)},
        **{f"environment {number}": one.note for number, one in enumerate(around.values(), 1) if one.note},
    }
    if evidence.verdict is not Verdict.PASS:
        return replace(evidence, detail=detail)
    told = "".join(f"; {text}" for text in problems)
    if rank.enough:
        return replace(evidence, reason=f"{rank.words}: {evidence.reason}{told}", detail=detail, proof=str(rank))
    reason = f"{_by_restart(drill, window, flag, ranks)}: {evidence.reason}{told}"
    return replace(evidence, verdict=Verdict.INCONCLUSIVE, reason=reason, detail=detail, proof=str(rank))


def _words(told: Mapping[str, spoken.Spoken | Environ], flag: Flag, rank: Rank) -> dict[str, Rank]:
    """Return the instances that say, by word or by their environment, that the flag is rolled back."""
    return {url: rank for url, one in told.items() if one.rolled_back.get(flag)}


def _shadowed(around: Mapping[str, Environ], flag: Flag, ranks: Mapping[str, Rank]) -> list[str]:
    """Name the instances whose environment has another value of the flag: it wins over the file in most services."""
    told = []
    for url, one in around.items():
        if one.rolled_back.get(flag) is False:
            decides = DECIDES.get(ranks.get(url, Rank.RESTART), "in most it wins")
            told.append(f"the environment of {one.note} holds another {flag.key} than the file: {decides}")
    return told


def _ranks(
    drill: Drill, window: Window, effect: Collection[str], said: Mapping[str, Rank], off: Collection[Flag]
) -> dict[str, Rank]:
    """Rank every instance. One that is seen to disobey another flag is not taken at its word for this one."""
    liars = by_url(drill, window, disobeyed(drill, window, off), every=False)
    ranks = {}
    for url in drill.service.instances:
        word = said.get(url, Rank.RESTART) if url not in liars else Rank.RESTART
        ranks[url] = Rank.EFFECT if url in effect else word
    return ranks


def _by_restart(drill: Drill, window: Window, flag: Flag, ranks: Mapping[str, Rank]) -> str:
    """Say which instances are unproven, and what would prove them."""
    open_ones = [url for url, rank in ranks.items() if not rank.enough]
    new = by_url(drill, window, drill.new_processes, every=True)
    names = ", ".join(short(url) + ("" if url in new else " (no restart was seen)") for url in open_ones)
    return f"{Rank.RESTART.words} on {names}: nothing shows that {flag.key} is obeyed ({HOW[flag]})"


def by_url(drill: Drill, window: Window, names: Collection[str], *, every: bool) -> frozenset[str]:
    """Return the URLs of the instances that the metrics call ``names``.

    Where the source calls them otherwise, nobody knows which is which: then all of them are meant if all names
    (``every``), or any of them, are among ``names``.
    """
    urls = frozenset(drill.service.instances)
    if urls <= window.deltas.keys():
        return urls & set(names)
    known = [name in names for name in window.deltas]
    return urls if known and (all(known) if every else any(known)) else frozenset()

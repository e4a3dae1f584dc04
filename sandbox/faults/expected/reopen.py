"""What a drill with ``--reopen`` must show: the ladder stops on the rung that is bad, and goes back by itself."""

from sandbox.faults.expected.model import FAIL, OPEN, Expected

BACK = ("back on", ", proven:")
"""The drill fell back by itself, and proved where it stands."""


def _rung(row: str, why: str, *says: str) -> Expected:
    return Expected({row: FAIL}, why, result="failure", mode="reopen", says=(*says, *BACK))


REOPEN: dict[str, Expected] = {
    "shadow_samples_nothing": _rung(
        "reopen.shadow_read", "a flag that is on and samples nothing did not take effect", "take effect"
    ),
    "agreement_collapses_at_full": _rung(
        "reopen.shadow_read",
        "each rate is judged on its own: what agrees at 10 % does not at 100 %",
        "shadow-read 0.1: holds",
        "agreement@5",
    ),
    "slow_under_shadow_load": _rung(
        "reopen.shadow_read",
        "a target that does not keep up drops shadow reads",
        "shadow-read 0.1: holds",
        "dropped",
    ),
    "turns_bad_later": _rung(
        "reopen.shadow_read", "the second half of a hold is judged on its own", "in the second half of the hold"
    ).on(1),
    "allowlist_ignored": _rung(
        "reopen.shadow_read", "more searches are shadowed than those of the pilot tenants", "allow-list"
    ),
    "circuit_stays_open": _rung(
        "reopen.dual_write", "writes are skipped for an open circuit, whatever the flag says", "circuit"
    ),
    "replay_loses_items": Expected(
        {"reopen.shadow_read": f"{FAIL} {OPEN}"},
        "what arrives on the target is counted, not what the replay says of itself; a loss is measured where less "
        "arrives than waited on one instance alone, and unproven above that: a document may wait on both",
        mode="replay",
        says=("lost", "; no rung was climbed"),
    ),
}

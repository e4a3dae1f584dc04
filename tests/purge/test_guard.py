"""When a purge must not be carried out, at each bound, on deltas made by hand."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drill.purge.guard import check_kept, check_reach, guard
from drill.purge.model import (
    Delta,
    Doubts,
    FaissDamaged,
    PurgeBlocked,
    PurgeRefused,
    PurgeSettings,
    Since,
    TenantDelta,
)


def tenant(faiss: int = 1000, target: int = 1000, name: str = "a", **differ: Any) -> TenantDelta:
    counts = {"orphans": 0, "stale": 0, "missing": 0, **differ}
    return TenantDelta(name, Path(), faiss, target, version="1", **counts)


def delta(*tenants: TenantDelta) -> Delta:
    return Delta(tenants, {}, "")


def refused(*tenants: TenantDelta, accepted: Mapping[str, int] | None = None, **choices: Any) -> str:
    """Return why the plan is refused; empty if it is not."""
    settings = PurgeSettings(("a", "b"), max_fraction=choices.pop("most", 1.0), last_accepted=accepted or {})
    try:
        guard(delta(*tenants), settings, **choices)
    except PurgeRefused as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize(("orphans", "refusal"), [(50, ""), (51, "51 of the target's 1000 documents differ (5.1%)")])
def test_no_more_than_the_share_that_is_allowed_is_deleted(orphans: int, refusal: str) -> None:
    said = refused(tenant(orphans=orphans), most=0.05)
    assert said.startswith(refusal)
    assert bool(said) is bool(refusal)


def test_what_an_earlier_run_of_the_plan_deleted_counts_too() -> None:
    """Of what there was before it."""
    first = delta(tenant(orphans=50))
    assert not refused(tenant(target=970, orphans=20), most=0.05, purged=30, first=first)
    assert "51 of the target's 1000" in refused(tenant(target=970, orphans=20), most=0.05, purged=31, first=first)


def test_an_empty_target_has_nothing_to_refuse() -> None:
    assert not refused(tenant(target=0, missing=1000), most=0.05)
    assert "1 of the target's 0 documents differ (100.0%)" in refused(tenant(target=0), most=0.05, purged=1)


@pytest.mark.parametrize(
    ("target", "stale", "refusal"),
    [(100, 50, ""), (100, 51, "51 of the 100"), (12, 10, ""), (12, 11, "11 of the 12"), (20, 10, ""), (22, 11, "")],
)
def test_most_of_a_tenant_is_never_deleted_unless_it_is_a_handful(target: int, stale: int, refusal: str) -> None:
    assert refused(tenant(faiss=target, target=target, stale=stale)).startswith(refusal)
    assert bool(refused(tenant(faiss=target, target=target, stale=stale))) is bool(refusal)


@pytest.mark.parametrize(
    ("faiss", "accepted", "said"),
    [
        (950, 1000, ""),
        (949, 1000, "FAISS holds 949 documents of tenant 'a', before it held 1000"),
        (0, 0, "FAISS holds no document of tenant 'a', the target 1000"),
    ],
)
def test_a_faiss_that_has_shrunk_condemns_nothing(faiss: int, accepted: int, said: str) -> None:
    assert refused(tenant(faiss=faiss, orphans=1), accepted={"a": accepted}).startswith(said)
    assert bool(refused(tenant(faiss=faiss, orphans=1), accepted={"a": accepted})) is bool(said)


def test_a_faiss_that_has_shrunk_since_the_plan_was_made_condemns_nothing() -> None:
    first = delta(tenant(faiss=1000, orphans=5))
    assert "before it held 1000" in refused(tenant(faiss=900, orphans=5), first=first)
    assert not refused(tenant(faiss=960, orphans=5), first=first)


def test_an_empty_faiss_beside_an_empty_target_is_well() -> None:
    assert not refused(tenant(faiss=0, target=0))


@pytest.mark.parametrize(
    ("doubts", "orphans", "kind", "said"),
    [
        (Doubts(twice_in_faiss=1), 1, PurgeBlocked, "1 document of tenant 'a' in FAISS has the id of another one"),
        (Doubts(twice_on_target=2), 1, PurgeRefused, "2 documents of tenant 'a' on the target have the id of another"),
        (Doubts(alike=3), 1, PurgeRefused, "3 ids of tenant 'a' that are only on the target differ"),
        (Doubts(twice_in_faiss=1), 0, None, ""),
        (Doubts(), 1, None, ""),
    ],
)
def test_ids_that_may_mean_two_documents_condemn_none(
    doubts: Doubts, orphans: int, kind: type[Exception] | None, said: str
) -> None:
    """Where FAISS itself is so, the purge is blocked: another day it may be done."""
    plan, settings = delta(tenant(orphans=orphans, doubts=doubts)), PurgeSettings(("a",))
    if kind is None:
        guard(plan, settings)
        return
    with pytest.raises(kind, match=said) as caught:
        guard(plan, settings)
    assert isinstance(caught.value, PurgeBlocked) is (kind is PurgeBlocked)


@pytest.mark.parametrize(
    ("counts", "none_shared"),
    [
        ({"faiss": 8, "target": 9, "orphans": 9, "missing": 8}, True),
        ({"faiss": 8, "target": 9, "orphans": 8, "missing": 7}, False),
        ({"faiss": 9, "target": 9, "orphans": 9, "missing": 8}, False),
        ({"faiss": 8, "target": 0, "orphans": 0, "missing": 8}, False),
    ],
)
def test_two_sides_that_share_no_id_are_not_of_one_service(counts: dict[str, Any], none_shared: bool) -> None:
    assert ("no id of tenant 'a' is on both sides" in refused(tenant(**counts))) is none_shared


@pytest.mark.parametrize(
    ("orphans", "stale", "said"),
    [(600, 0, False), (600, 199, False), (600, 200, True), (0, 600, True)],
)
def test_a_plan_that_condemns_most_of_what_both_hold_by_its_hash_says_what_else_may_be_the_reason(
    orphans: int, stale: int, said: bool
) -> None:
    """Half of what is on both sides, and more."""
    assert ("differ by their hash alone" in refused(tenant(orphans=orphans, stale=stale))) is said


@pytest.mark.parametrize(
    ("since", "harm"),
    [
        (Since(gone=10, known=500, allowed=10), ""),
        (Since(gone=11, known=500, allowed=10), "11 documents are gone from FAISS, 10 may have gone"),
        (Since(changed=250, known=500, allowed=10), ""),
        (Since(changed=251, known=500, allowed=10), "251 of 500 documents have another text"),
        (Since(changed=10, known=12, allowed=10), ""),
        (Since(changed=11, known=12, allowed=10), "11 of 12 documents have another text"),
        (Since(changed=1, misfits=1, known=500, allowed=10), "1 documents have another text and the vector they had"),
    ],
)
def test_what_faiss_has_lost_since_the_drill_began_is_not_taken_from_the_target(since: Since, harm: str) -> None:
    """Its copies there may be the last good ones."""
    plan = delta(tenant(name="b"), replace(tenant(), since=since))
    if not harm:
        check_kept(plan)
        return
    with pytest.raises(FaissDamaged, match=harm) as caught:
        check_kept(plan)
    assert f"the target holds {since.gone + since.changed} documents as they were" in str(caught.value)


@pytest.mark.parametrize("found", [[], ["a trigger"]])
def test_a_delete_that_reaches_more_than_is_kept_is_refused(found: list[str]) -> None:
    class Target:
        def reaches(self) -> list[str]:
            return found

    if not found:
        check_reach(Target())  # type: ignore[arg-type]
        check_reach(object())  # type: ignore[arg-type]
        return
    with pytest.raises(PurgeRefused, match="a trigger"):
        check_reach(Target())  # type: ignore[arg-type]

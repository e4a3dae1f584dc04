"""Look-ups that mean something when they find nothing: known documents are asked for in the same call."""

from collections.abc import Collection

from drill.errors import TargetUnavailable
from drill.target.base import Pair, Target

CONTROLS = 20
"""Documents of a control: of every kind of id that there may be, some."""


class BlindLookUp(TargetUnavailable):
    """A look-up did not find documents that are there: that it finds no others says nothing of them."""


def look_up(target: Target, tenant: str, ids: Collection[str], control: Collection[str]) -> set[Pair]:
    """Return those of ``ids`` that exist now, each with its content hash.

    ``control``: ids of documents that are known to be there. Raises BlindLookUp if one of them is not found.
    """
    known = set(control) - set(ids)
    found = target.present(tenant, [*ids, *known])
    missed = known - {key for key, _ in found}
    if missed:
        raise BlindLookUp(
            f"target look-up of tenant {tenant!r}: {len(missed)} of {len(known)} documents which a scan saw are not "
            "found by their id; expected all, check [target] id_field and of which type ids are there, then run again"
        )
    wanted = set(ids)
    return {pair for pair in found if pair[0] in wanted}


def control_of(target: Target, tenant: str, count: int = CONTROLS) -> list[str]:
    """Return the ids of up to ``count`` documents that are on the target now, spread over its scan's first page."""
    page = next(iter(target.scan(tenant)), [])
    step = max(1, len(page) // count)
    return [key for key, _ in page[::step]][:count]

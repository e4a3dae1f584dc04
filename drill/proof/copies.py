"""Whether a document that was written to FAISS since has been written to the target, too: told from two look-ups."""

from dataclasses import dataclass
from enum import StrEnum


class Copy(StrEnum):
    """What the target's copy of one document tells."""

    ABSENT = "absent"
    """The target has no such document: the write did not go there."""
    UNTOUCHED = "untouched"
    """The target has the document as it was before the write."""
    REACHED = "reached"
    """The write went to the target."""
    OTHERWISE = "otherwise"
    """The document has come to the target since, with another content: an older or a newer one."""
    SUSPECT = "suspect"
    """The target has the document, and nothing tells since when."""
    SILENT = "silent"
    """It can tell nothing: the copy would look the same either way."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a tenant's documents on the target from when the service settled."""

    listed: bool
    """Whether all of them were listed then: what was not there then, and is now, has come since."""
    comparable: bool
    """Whether a hash of the target has ever agreed with one of FAISS: else they are of different kinds."""


def judge_copy(known: Known, *, new: bool, written: str, was: str | None, now: str | None) -> Copy:
    """Tell what became of one document.

    ``new``: FAISS did not have it when the service settled. ``written``: its hash in FAISS now. ``was``, ``now``: its
    hash on the target then (None: it was not there, or nothing was listed) and now (None: it is not there).

    A document may have been on the target before, from the time of the dual-write or as an orphan, and an older
    version may arrive late from a queue. Hashes of another kind say nothing by staying or by differing from those of
    FAISS; that an id is there now, and was not, counts whatever its hash.
    """
    if now is None:
        return Copy.ABSENT
    arrived = known.comparable and now == written
    if not known.listed:
        return _unlisted(known, new=new, arrived=arrived)
    if was is None:
        if arrived or not known.comparable:
            return Copy.REACHED
        return Copy.OTHERWISE if new else Copy.SUSPECT
    if now != was:
        return Copy.REACHED if arrived or not known.comparable else Copy.SUSPECT
    return Copy.SILENT if arrived or not known.comparable or not now else Copy.UNTOUCHED


def _unlisted(known: Known, *, new: bool, arrived: bool) -> Copy:
    if arrived:
        return Copy.REACHED
    if new or not known.comparable:
        return Copy.SUSPECT if new else Copy.SILENT
    return Copy.UNTOUCHED

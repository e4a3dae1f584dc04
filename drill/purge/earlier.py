"""What earlier drills of an environment have seen FAISS lose: a later one begins after that, and cannot see it."""

from pathlib import Path

from drill.events import EventLog
from drill.purge.kept import PURGE_END, PURGE_START
from drill.purge.model import PurgeStatus
from drill.unfinished import EVENTS_FILE, START, read_events

FAISS_SEEN = "purge_faiss"
"""Event of each drill that has looked for it. ``lost``: what FAISS had lost, in words; empty: nothing. ``few``: no more
than users may have deleted."""
SETTLED = {str(PurgeStatus.PURGED), str(PurgeStatus.NOTHING_TO_PURGE)}


def note(events: EventLog, lost: str, *, few: bool = False) -> None:
    """Write what this drill has seen."""
    events.event(FAISS_SEEN, lost=lost, few=few)


def lost_before(work_dir: Path, env_id: str, *, expect_deletes: bool = False) -> str:
    """Return which drill of ``env_id`` was the last to look, and what it saw FAISS lose; empty if that was nothing.

    A purge on its own, of a plan that was shown, ends it. ``expect_deletes``: a few are no loss.
    """
    for path in sorted(work_dir.parent.glob(f"*/{EVENTS_FILE}"), reverse=True):
        try:
            events = read_events(path) if path.parent != work_dir else []
        except OSError:
            continue
        if not events or events[0].kind not in {START, PURGE_START} or events[0].text("env_id") != env_id:
            continue
        if events[0].text("action") == "run" and any(
            event.kind == PURGE_END and event.text("status") in SETTLED for event in events
        ):
            return ""
        if (seen := next((event for event in reversed(events) if event.kind == FAISS_SEEN), None)) is not None:
            few = expect_deletes and seen.facts.get("few") is True
            return f"{path.parent.name}: {lost}" if (lost := seen.text("lost")) and not few else ""
    return ""

"""Plans, quarantines and what is left, as a list for the terminal."""

from collections.abc import Iterator
from pathlib import Path

from drill.printable import printable
from drill.purge.kept import Kept, kept, runs
from drill.purge.plan_file import PLAN_FILE, SHOWN_DIGITS
from drill.unfinished import Event


def lines(artifacts: Path) -> Iterator[str]:
    """Yield a line for every drill or purge that keeps a plan or a quarantine, or that was killed."""
    shown = 0
    for found in kept(artifacts):
        facts = list(_facts(found))
        if facts:
            shown += 1
            yield printable(f"{found.folder.name}  {found.kind:<5}  {found.env_file}  {'; '.join(facts)}")
    if not shown:
        yield printable(f"no plan and no quarantine in {artifacts}")


def _facts(found: Kept) -> Iterator[str]:
    if plan := found.plan:
        kinds = f"{plan.doomed} to delete ({plan.fraction:.2%}), {plan.missing} missing"
        yield f"plan {plan.digest[:SHOWN_DIGITS]}: {kinds}"
    elif found.plan_path.exists():
        yield f"plan damaged ({PLAN_FILE}): make a new one"
    if found.quarantine.is_dir():
        yield _quarantine(found)
    if found.ended is not None and found.kind != "plan":
        yield _ended(found.ended)
    elif found.ended is None and found.kind != "drill":
        yield "running" if runs(found) else "was ended early: run it again"


def _ended(end: Event) -> str:
    status = end.text("status")
    if "left" not in end.facts:  # refused before it looked
        return status
    left = end.facts["left"]
    return f"{status}, {'unknown how many' if left is None else left} left"


def _quarantine(found: Kept) -> str:
    try:
        held = f"{found.documents()} documents"
    except OSError as problem:
        held = f"cannot be read ({problem})"
    pending = f", {found.pending} parts not confirmed: the next run settles them" if found.pending else ""
    return f"quarantine {held}{pending}"

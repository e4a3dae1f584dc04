"""What FAISS has lost under a drill, as its purge finds it, and what a later drill must know of that."""

import shlex
from typing import TYPE_CHECKING

from drill.context import Drill
from drill.record import Scalar

if TYPE_CHECKING:
    from drill.purge import Delta, PurgeReport


class FaissLosses:
    """Of one purge: what earlier drills have seen before it, and what it sees itself."""

    def __init__(self, drill: Drill) -> None:
        from drill.purge.earlier import lost_before

        self._drill = drill
        self._expected = drill.config.primary.expect_deletes
        self._earlier = lost_before(drill.work_dir, drill.record.env_id, expect_deletes=self._expected)

    def approve(self, _delta: "Delta") -> None:
        """Raise FaissDamaged if FAISS had lost documents before this drill began, which cannot see which these are."""
        from drill.purge.model import FaissDamaged

        if self._earlier:
            raise FaissDamaged(
                f"an earlier drill saw FAISS lose documents, and they look like what dual-write has left "
                f"({self._earlier}); put FAISS in order, then look at `{go_on(self._drill)}` and run that plan"
            )

    def seen(self, report: "PurgeReport") -> str:
        """Say what FAISS has lost of what is left on the target, beyond what users account for; note it for later."""
        from drill.purge.earlier import note

        harm = next((since.harm for since in report.since if since.harm), "")
        gone = 0 if self._expected else sum(since.gone for since in report.since)
        said = f"put FAISS in order: {harm}" if harm else ""
        if gone and not harm:
            said = f"{gone} documents are gone; if users delete documents, say so: [primary] expect_deletes = true"
        held_up = self._earlier and any(tenant.doomed for tenant in report.per_tenant)
        if report.since and not held_up:
            note(self._drill.events, said, few=not harm)
        return said


def left_alone(report: "PurgeReport") -> dict[str, Scalar]:
    """Return the figures of what was left on the target; none where nothing was looked for."""
    compared = [since for since in report.since if since.known]
    if not compared:
        return {}
    return {
        "left, gone from FAISS since the beginning": sum(since.gone for since in compared),
        "left, changed in FAISS since the beginning": sum(since.changed for since in compared),
        "known of FAISS at the beginning": "all" if all(since.whole for since in compared) else "a sample",
    }


def go_on(drill: Drill) -> str:
    """Return the command that shows what is to be purged."""
    return f"python -m drill purge plan --env-file {shlex.quote(drill.record.env_file)}"

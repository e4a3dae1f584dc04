"""Step 7, with --reopen: back to the migration rung by rung, each proven before the next, down again by itself."""

from drill.steps import reopen
from fixtures.rows import Row, row


@row("reopen.shadow_read", order=51)
def test_reopen_shadow_read(drill: Row) -> None:
    """Shadow-read on at each sample rate: it took effect, the target agrees and keeps up, users feel nothing."""
    drill.step(reopen.shadow_read)


@row("reopen.dual_write", order=52)
def test_reopen_dual_write(drill: Row) -> None:
    """Dual-write on, for the pilot tenants and then for all: every user's write reaches the target."""
    drill.step(reopen.dual_write)

"""Steps 1 to 4: everything back to FAISS. All flags are one edit and one reload; each is proven on its own."""

from drill.steps import flags
from drill.steps.purge import purge_delta
from fixtures.rows import Row, row


@row("disable_dual_write", order=11)
def test_disable_dual_write(drill: Row) -> None:
    """FF_RETRIEVAL_DUAL_WRITE=OFF in the file, in every instance, and no write reaches the target, not even late."""
    drill.step(flags.disable_dual_write)


@row("purge_delta", order=12)
def test_purge_delta(drill: Row) -> None:
    """The target holds nothing that FAISS does not hold, or it is said why that is not so yet."""
    drill.step(purge_delta)


@row("disable_shadow_read", order=13)
def test_disable_shadow_read(drill: Row) -> None:
    """FF_RETRIEVAL_SHADOW_READ=OFF in the file, in every instance, and no read is shadowed any more."""
    drill.step(flags.disable_shadow_read)


@row("force_faiss", order=14)
def test_force_faiss(drill: Row) -> None:
    """RETRIEVAL_BACKEND=faiss in the file, and every instance answers from FAISS and from nothing else."""
    drill.step(flags.force_faiss)

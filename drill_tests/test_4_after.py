"""After the rollback: the service is where it was put, and everything else is silent."""

from drill.checks import environment_kept, faiss_kept, post
from fixtures.rows import Row, row


@row("post.endpoints", order=41)
def test_endpoints(drill: Row) -> None:
    """Every /internal/retrieval/* endpoint answers."""
    drill.observe(post.endpoints)


@row("post.primary_latency", order=42)
def test_primary_latency(drill: Row) -> None:
    """The primary's latency is stable inside the window, and against the last successful drill."""
    drill.observe(post.primary_latency)


@row("post.target_errors", order=43)
def test_target_errors(drill: Row) -> None:
    """Nothing fails towards the target any more."""
    drill.observe(post.target_errors)


@row("post.circuit_open", order=44)
def test_circuit_open(drill: Row) -> None:
    """No dual-write is skipped for an open circuit, and the outbox does not grow."""
    drill.observe(post.circuit_open)


@row("post.shadow_silent", order=45)
def test_shadow_silent(drill: Row) -> None:
    """Every retrieval_shadow_* series is flat while requests are served."""
    drill.observe(post.shadow_silent)


@row("post.backend", order=46)
def test_backend(drill: Row) -> None:
    """At the end, every instance is healthy and still answers from FAISS only."""
    drill.observe(post.backend)


@row("post.environment", order=47)
def test_environment(drill: Row) -> None:
    """The env file is still what this drill made of it, in the same file; looked at once more at the end."""
    drill.check(environment_kept.environment)


@row("post.faiss", order=48)
def test_faiss(drill: Row) -> None:
    """FAISS still holds what it held before anything was written, tenant by tenant; looked at once more at the end."""
    drill.observe(faiss_kept.faiss)

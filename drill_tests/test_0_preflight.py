"""Before anything is changed: can the rollback be done, and is there something to fall back to."""

import pytest

from drill.checks import preflight
from drill.rehearsal.rehearse import rehearse
from fixtures.rows import Row, row


@row("preflight.env_file", order=1)
def test_env_file(drill: Row) -> None:
    """The plan: which of the three flags change, and that they can be changed safely."""
    drill.check(preflight.env_file)


@row("preflight.window", order=2)
def test_window(drill: Row) -> None:
    """The firing window is open, and no other drill runs on this env file."""
    drill.check(preflight.window)


@row("preflight.faiss", order=3)
def test_faiss(drill: Row) -> None:
    """There is a FAISS to fall back to: as many vectors as documents, one dimension, for every tenant."""
    drill.check(preflight.faiss)


@row("preflight.service", order=4)
@pytest.mark.usefixtures("probed")
def test_service(drill: Row) -> None:
    """Every instance is healthy and has the endpoints; in an incident the flags are on disk before this is asked."""
    drill.check(preflight.service)


@row("preflight.metrics", order=5)
@pytest.mark.usefixtures("probed")
def test_metrics(drill: Row) -> None:
    """The metrics that this drill judges by exist on every instance, each of one living process."""
    drill.check(preflight.metrics)


@row("preflight.rehearsal", order=6)
@pytest.mark.usefixtures("probed")
def test_rehearsal(drill: Row) -> None:
    """In a dry-run: a throw-away instance comes up on the new env file, answers from FAISS, and stops."""
    drill.check(rehearse)

"""What a drill must show of each fault: one table, from which the matrix, its tests and its documentation are made."""

from sandbox.faults.expected.dry_run import DRY_RUN
from sandbox.faults.expected.model import FAIL, Expected
from sandbox.faults.expected.rehearsal import REHEARSAL
from sandbox.faults.expected.reopen import REOPEN
from sandbox.faults.expected.rollback import ROLLBACK

EXPECTED: dict[str, Expected] = {**ROLLBACK, **REOPEN, **REHEARSAL, **DRY_RUN}

__all__ = ["EXPECTED", "FAIL", "Expected"]

"""Step 2 of the runbook: find where the target diverges from FAISS, and take that away without losing anything."""

from drill.purge.model import Delta, PurgeReport, PurgeSettings, PurgeStatus, TenantDelta
from drill.purge.run import Purge
from drill.purge.undo import UndoReport, undo

__all__ = ["Delta", "Purge", "PurgeReport", "PurgeSettings", "PurgeStatus", "TenantDelta", "UndoReport", "undo"]

"""The rollback drill: honest checks, safe edits, comparison and purge, evidence. Knows no pytest."""

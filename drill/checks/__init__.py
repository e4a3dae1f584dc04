"""The checks of the runbook: each takes a drill, looks, and returns its evidence. None changes anything."""

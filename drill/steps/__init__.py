"""The steps of the runbook that change something."""

"""Drills against services that say what nobody should show."""

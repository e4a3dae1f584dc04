"""Tests of the purge, its two sides and its quarantine."""

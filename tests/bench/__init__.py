"""Tests of the bench, and of what it keeps fast."""

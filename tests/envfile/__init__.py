"""Tests of the env-file editor."""

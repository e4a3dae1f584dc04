"""Tests of what a drill leaves behind: journal, events, report, and nothing secret in them."""

"""Telling other tools how a drill ended, after its result stands: none of it can change the result or hold it up."""

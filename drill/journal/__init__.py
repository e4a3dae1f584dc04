"""The journal: one line per drill, chained by hashes, never lost and never doubled."""

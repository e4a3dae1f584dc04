"""The detection matrix: every fault against the real drill, on every metric source."""

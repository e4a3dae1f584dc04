"""The embedded stack to drill against: a real retrieval service, its target, its metrics, its faults."""

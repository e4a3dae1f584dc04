"""All drills of a journal as one page: what came of them, how long safety took, and when the last one succeeded."""

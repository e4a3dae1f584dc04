"""What the drill survives: kills and errors at every system call of a write, and secrets in everything it reads."""

"""What the sandbox raises on purpose; every message is one line that says what to do next."""


class SandboxError(Exception):
    """The stack cannot be started, reached or changed."""

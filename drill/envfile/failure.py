"""What is raised when the system fails a write of the env file half way."""

from drill.errors import DrillError


class EnvWriteFailed(DrillError):  # noqa: N818 - reads as what happened, like the other errors of the drill
    """The env file could not be written, or could be and is not proven to last.

    Catch it where a step is run: with ``changed`` false the old bytes are on disk and the step did nothing; with
    ``written`` true the new ones are there, and only not proven to outlast a power cut.
    """

    def __init__(self, message: str, *, changed: bool, written: bool = False) -> None:
        super().__init__(message)
        self.changed = changed
        self.written = written

"""Everything the library raises on purpose.

DrillError
├── UsageError             wrong option or configuration: exit 4, no journal entry
├── EnvWriteFailed         the system failed a write of the env file (in drill.envfile.failure)
├── Refused                stopped before any change: exit 11
│   ├── EnvFileRefused     the env file cannot be edited safely
│   ├── LockHeld           another drill is running on this env file
│   ├── WindowClosed       outside the approved firing window
│   └── NoFallback         there is no FAISS to fall back to
└── CannotMeasure          a check could not look: verdict ``error``
    ├── TargetUnavailable  the vector database does not answer
    └── PrimaryUnreadable  a FAISS inventory cannot be read

Every message says what was seen, what was expected and what to do next, in one line, and holds no secret. Names that
others chose stand in it as `drill.printable` leaves them.
"""

from drill.printable import printable

NOT_THERE = "does not exist; expected the service's env file"
"""What is said of an env file that is not there; the history of drills knows a mistyped name by it."""


class DrillError(Exception):
    """Base of all errors of the drill."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class UsageError(DrillError):
    """A wrong option or configuration; catch it where options are read."""


class Refused(DrillError):  # noqa: N818 - the design's word
    """The drill must not start or go on; nothing has been changed."""


class EnvFileRefused(Refused):
    """The env file cannot be read or cannot be edited without a risk of loss."""


class LockHeld(Refused):
    """Another drill holds the lock of this env file."""


class WindowClosed(Refused):
    """``--apply`` outside the approved firing window."""


class NoFallback(Refused):
    """The FAISS index is missing, empty or damaged: rolling back would take the service down."""


class CannotMeasure(DrillError):  # noqa: N818 - the design's word
    """Evidence could not be had: a source is unreachable, silent or speaks nonsense."""


class TargetUnavailable(CannotMeasure):
    """The vector database refuses, times out or breaks off."""


class PrimaryUnreadable(CannotMeasure):
    """The FAISS inventory could not be read to its end."""

"""What a retrieval can fail with; ``code`` is the short class of the error in the metrics."""


class RetrievalError(Exception):
    """A search, embedding or write that failed; the user sees status 503."""

    code = "internal"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code


class TargetError(RetrievalError):
    """The target refused, broke off, or did not answer in time."""

    code = "connection"


class SnapshotError(RetrievalError):
    """The tenant's FAISS snapshot is missing, damaged, or its two files do not belong together."""

    code = "snapshot"


class UnknownTenantError(Exception):
    """A tenant this service does not serve; the user sees status 404."""


class SettingsError(Exception):
    """A value the service refuses to boot with; the message is one line."""

"""The content hash of a document: what makes two copies of it the same."""

import hashlib
import unicodedata


def content_hash(text: str) -> str:
    """Return the SHA-256 (lowercase hex) of ``text`` in NFC with every run of white space made one space.

    A lone surrogate, which UTF-8 cannot hold, counts as ``?``: the streaming JSON reader makes it one, too.
    """
    normalised = " ".join(unicodedata.normalize("NFC", text).split())
    return hashlib.sha256(normalised.encode("utf-8", "replace")).hexdigest()

"""The last look at everything a drill leaves: no secret may be in it, in whatever disguise (``docs/security.md``)."""

from drill.leaks.search import Leak, Search, find_leaks
from drill.leaks.values import MIN_OTHER, MIN_SECRET, Searched, secrets_of

__all__ = ["MIN_OTHER", "MIN_SECRET", "Leak", "Search", "Searched", "find_leaks", "secrets_of"]

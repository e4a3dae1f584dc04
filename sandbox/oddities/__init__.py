"""Services that are odd and well: a drill must be green there, or inconclusive for the reason that is stated.

An oddity is a class of hooks (``sandbox.faults.hooks``) with ``@oddity``, in a module of this package that is imported
below, and a row in ``sandbox.oddities.expected``. A service is odd from its boot on and stays so: before a drill the
oddity is switched on and the instances are restarted. ``python -m sandbox oddity NAME`` does the first by hand,
``python -m matrix --only NAME`` drills, and ``python -m matrix --healthy N`` draws from all that must be green.
"""

from sandbox.faults.registry import ODDITIES
from sandbox.oddities import doors, files, load, numbers, pages, processes, restarts, snapshots, stored, writes

__all__ = [
    "ODDITIES",
    "doors",
    "files",
    "load",
    "numbers",
    "pages",
    "processes",
    "restarts",
    "snapshots",
    "stored",
    "writes",
]

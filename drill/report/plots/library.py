"""Loading matplotlib as it was made: its settings may lie in the working directory, and may start programs (TeX)."""

from contextlib import chdir
from functools import cache
from types import ModuleType


@cache
def load_matplotlib() -> ModuleType:
    """Return matplotlib with its own defaults; call it before any other import of it.

    It opens ``matplotlibrc`` of the working directory when it is imported, which may be a FIFO: so elsewhere.
    """
    with chdir("/"):
        import matplotlib as mpl
    mpl.rcdefaults()
    return mpl

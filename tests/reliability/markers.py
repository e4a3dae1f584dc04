"""Two harmless system calls around the section that is swept, to be found in the trace."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

BEGIN = "/drill-sweep-begin"
END = "/drill-sweep-end"


@contextmanager
def section() -> Iterator[None]:
    """Mark the body's beginning, and its end however it comes."""
    os.access(BEGIN, os.F_OK)
    try:
        yield
    finally:
        os.access(END, os.F_OK)

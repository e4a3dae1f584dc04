"""The registry of faults: each is one class with one line saying what it does."""

import re
from dataclasses import dataclass
from typing import TypeVar

from sandbox.faults.hooks import Hooks

H = TypeVar("H", bound=type[Hooks])


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by name; ``doc`` says in one line what it does."""

    name: str
    doc: str
    hooks: type[Hooks]


FAULTS: dict[str, Fault] = {}


def fault(hooks: H) -> H:
    """Register a class of hooks under its name in snake case; its docstring becomes the fault's line."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])", "_", hooks.__name__).lower()
    FAULTS[name] = Fault(name, (hooks.__doc__ or "").strip().splitlines()[0], hooks)
    return hooks


def find(name: str) -> Fault:
    """Return the fault; raise ``KeyError`` with a one-line message if there is none of that name."""
    if name not in FAULTS:
        raise KeyError(f"no fault is called {name!r}; `python -m sandbox fault --list` shows all")
    return FAULTS[name]

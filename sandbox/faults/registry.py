"""The registries of faults and of oddities: each is one class with one line saying what it does."""

import re
from dataclasses import dataclass
from typing import TypeVar

from sandbox.faults.hooks import Hooks

H = TypeVar("H", bound=type[Hooks])


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault or an oddity by name; ``doc`` says in one line what it does."""

    name: str
    doc: str
    hooks: type[Hooks]


FAULTS: dict[str, Fault] = {}
"""Ways to be broken."""
ODDITIES: dict[str, Fault] = {}
"""Ways to be strange and well."""


def fault(hooks: H) -> H:
    """Register a class of hooks under its name in snake case; its docstring becomes the fault's line."""
    return _register(FAULTS, hooks)


def oddity(hooks: H) -> H:
    """Register a class of hooks as an oddity, likewise."""
    return _register(ODDITIES, hooks)


def find(name: str) -> Fault:
    """Return the fault or oddity; raise ``KeyError`` with a one-line message if there is none of that name."""
    if found := FAULTS.get(name) or ODDITIES.get(name):
        return found
    raise KeyError(f"no fault and no oddity is called {name!r}; `python -m sandbox fault --list` shows all")


def _register(table: dict[str, Fault], hooks: H) -> H:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])", "_", hooks.__name__).lower()
    table[name] = Fault(name, (hooks.__doc__ or "").strip().splitlines()[0], hooks)
    return hooks

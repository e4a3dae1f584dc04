"""The lines of the bench's output: a figure, the bound beside it, and whether it holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. ``bound`` is the largest value that is fine; ``None``: there is none, the figure is for the eye."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    note: str = ""

    @property
    def over(self) -> bool:
        """Whether the bound does not hold; a value that is not a number holds no bound."""
        return self.bound is not None and not self.value <= self.bound

    def __str__(self) -> str:
        value = f"{self.value:9.2f} {self.unit}"
        bound = "" if self.bound is None else f"<= {self.bound:g} {self.unit}"
        word = "" if self.bound is None else "over" if self.over else "ok"
        return f"{self.name:<58} {value:<14} {bound:<12} {word:<5} {self.note}".rstrip()

"""Trying points one by one, two at a time, and telling all that went wrong."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.reliability.tracing import Point

_AT_ONCE = 2
_LOOKING = frozenset(
    {
        "read",
        "pread64",
        "lseek",
        "newfstatat",
        "fstat",
        "stat",
        "lstat",
        "access",
        "faccessat2",
        "statfs",
        "flistxattr",
        "fgetxattr",
        "getdents64",
    }
)
"""Calls that change nothing: a sample goes by them, the whole sweep does not."""


def sample(points: Sequence[Point], count: int) -> list[Point]:
    """Return ``count`` points that change something, evenly spread and the same each time."""
    changing = [point for point in points if point.call.name not in _LOOKING]
    return [changing[place * len(changing) // count] for place in range(count)]


def sweep(name: str, points: Sequence[Point], attempt: Callable[[int, Point], None]) -> None:
    """Make every attempt; fail with all points that were not survived, or print how many were."""
    assert points
    problems = [problem for problem in sweep_problems(points, attempt) if problem]
    assert not problems, f"{name}: {len(problems)} of {len(points)} points\n" + "\n".join(problems[:20])
    print(f"{name}: {len(points)} points tried, {len(points)} survived")


def sweep_problems(points: Sequence[Point], attempt: Callable[[int, Point], None]) -> list[str]:
    """Return what went wrong at each point, empty where nothing did."""

    def one(numbered: tuple[int, Point]) -> str:
        try:
            attempt(*numbered)
        except AssertionError as error:
            return f"{numbered[1]}\n    {error}"
        return ""

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, enumerate(points)))

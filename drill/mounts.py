"""What is mounted where."""

from pathlib import Path


def is_mount_point(path: Path) -> bool:
    """Whether ``path`` itself is mounted, as a container's single file is (proc_pid_mountinfo(5), field 5)."""
    wanted = str(path.parent.resolve() / path.name)
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    points = (line.split(" ", 5)[4] for line in lines if line.count(" ") > 5)
    return any(_unescaped(point) == wanted for point in points)


def _unescaped(point: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, char)
    return point

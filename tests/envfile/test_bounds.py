"""Env files that are made to take long: each is read, planned and warned of in bounded work."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dotenv.variables import parse_variables
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.envfile import plan_edit
from drill.envfile.edit import MAX_BYTES
from drill.envfile.expand import MAX_TOGETHER, interpolate
from drill.envfile.parse import parse

from .support import PLAIN, PLAIN_AFTER

ROOM = MAX_BYTES - 1000
HEAVY: dict[str, Callable[[], bytes]] = {
    "commands in a row": lambda: b"A=" + b"a&&" * (ROOM // 3) + b"a\n",
    "commands in a row below the bound of the models": lambda: b"A=1\n" + b"a&&\n" * 30_000 + b"a\n",
    "one word": lambda: b"A=" + b"$" * 120_000 + b"\n",
    "open references": lambda: b"A=" + b"${" * (ROOM // 2) + b"\n",
    "open references that stop at a colon": lambda: b"A=" + b"${" * (ROOM // 2) + b":x}\n",
    "doubling": lambda: b"A0=0123456789\n" + b"".join(b"A%d=${A%d}${A%d}\n" % (n, n - 1, n - 1) for n in range(1, 41)),
    "many uses of one long value": lambda: b"A=" + b"x" * 100_000 + b"\n" + b"B=${A}\n" * 10_000,
    "lines that do not parse": lambda: b"a b\n" * 40_000,
    "quotes": lambda: b"A='\\'\n" * 15_000,
    "blanks": lambda: b"A=" + b" " * 9000 + b"x\n",
}
SCRIPT = """
import resource, sys
from drill.envfile import plan_edit
from drill.envfile.parse import parse
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
data = sys.stdin.buffer.read()
print(sum(len(value or "") for value in parse(data).interpolated().values()))
plan = plan_edit(data)
sys.stdout.flush()
sys.stdout.buffer.write(plan.new_bytes[-60:] + str(len(plan.warnings)).encode())
"""


@pytest.mark.parametrize("name", HEAVY)
def test_a_file_that_is_made_to_take_long_is_edited_within_a_minute_and_a_gigabyte(name: str) -> None:
    """The bounds are far off what is needed; without care each of these takes hours or terabytes."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=HEAVY[name]() + PLAIN, capture_output=True, check=True, timeout=300
    )
    length, _, rest = done.stdout.partition(b"\n")
    assert int(length) <= MAX_TOGETHER + MAX_BYTES
    assert rest.startswith(PLAIN_AFTER[-60:])


def test_blanks_that_python_dotenv_itself_cannot_read_in_time_are_refused() -> None:
    plan = plan_edit(b"A=" + b" " * 500_000 + b"x\n" + PLAIN)
    assert "blanks" in plan.refusal


def test_what_would_be_longer_than_a_process_can_be_given_stays_as_it_is_written() -> None:
    data = b"A=" + b"x" * 70_000 + b"\nB=${A}\nC=${A}${A}\nD=${B}\n"
    values = parse(data).interpolated()
    assert (values["B"], values["D"], values["C"]) == ("x" * 70_000, "x" * 70_000, "${A}${A}")


PIECES = st.lists(st.sampled_from(["${", "}", ":", "-", ":-", "$", "{", "A", "B", " ", "\n", "${A}", "${B:-x}"]))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("AB"), PIECES.map("".join)), max_size=4))
def test_references_are_filled_in_as_python_dotenv_does(pairs: list[tuple[str, str]]) -> None:
    """Whatever stands between the braces."""
    theirs: dict[str, str | None] = {}
    for key, value in pairs:
        theirs[key] = "".join(atom.resolve(theirs) for atom in parse_variables(value))
    assert interpolate(pairs) == theirs


def test_a_file_above_the_bound_is_not_read_to_its_end(tmp_path: Path) -> None:
    from drill.envfile.read import read_values
    from drill.errors import EnvFileRefused

    path = tmp_path / ".env"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(EnvFileRefused, match=f"more than {MAX_BYTES} bytes"):
        read_values(path)

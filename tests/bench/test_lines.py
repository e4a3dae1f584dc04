"""The bench's verdicts."""

import math

import pytest

from bench.lines import Line


@pytest.mark.parametrize(("value", "over"), [(5.9, False), (6.0, False), (6.01, True), (math.nan, True)])
def test_only_a_value_within_its_bound_is_ok_and_no_number_is_over(value: float, over: bool) -> None:
    line = Line("ratio", value, "x", 6.0)
    assert line.over is over
    assert (" over" in str(line), " ok" in str(line)) == (over, not over)


def test_a_figure_without_a_bound_is_neither_ok_nor_over() -> None:
    line = Line("time", 1e9, "ms")
    assert not line.over
    assert str(line).split()[-2:] == ["1000000000.00", "ms"]

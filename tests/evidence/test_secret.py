"""A secret does not show itself."""

import copy
import json
import pickle
from collections.abc import Callable

import pytest

from drill.secret import Secret

VALUE = "hunter2-canary"


@pytest.mark.parametrize(
    "show",
    [str, repr, format, "{:>40}".format, lambda s: f"{s!r:>30}", lambda s: f"{[s]}"],
    ids=["str", "repr", "format", "width", "f-string", "in a list"],
)
def test_no_way_of_printing_shows_the_value(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(VALUE))
    assert VALUE not in shown
    assert "***" in shown


def test_only_reveal_gives_the_value() -> None:
    assert Secret(VALUE).reveal() == VALUE


def test_it_cannot_be_pickled_nor_dumped() -> None:
    with pytest.raises(TypeError, match="cannot be pickled") as refusal:
        pickle.dumps(Secret(VALUE))
    assert VALUE not in str(refusal.value)
    with pytest.raises(TypeError):
        json.dumps({"dsn": Secret(VALUE)})
    assert not hasattr(Secret(VALUE), "__dict__")


def test_equality_is_by_value_and_never_with_a_plain_text() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    assert len({Secret(VALUE), Secret(VALUE)}) == 1
    assert Secret("\u00e4") == Secret("\u00e4")


def test_copies_are_the_same_object_and_an_empty_secret_is_false() -> None:
    secret = Secret(VALUE)
    assert copy.deepcopy({"dsn": secret})["dsn"] is secret
    assert copy.copy(secret) is secret
    assert not Secret("")
    assert secret

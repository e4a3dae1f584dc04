"""The content hash that both sides must agree on."""

import hashlib

import pytest

from drill.content_hash import content_hash


def test_it_is_the_sha256_of_the_normalised_text() -> None:
    """In lowercase hexadecimal."""
    assert content_hash("a b") == hashlib.sha256(b"a b").hexdigest()
    assert content_hash("") == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("one", "other"),
    [(" a\n\tb ", "a b"), ("a\u00a0b", "a b"), ("e\u0301", "\u00e9"), ("\u212b", "\u00c5")],
)
def test_white_space_and_unicode_form_do_not_count(one: str, other: str) -> None:
    """Runs of white space are one space; composed and decomposed letters are the same."""
    assert content_hash(one) == content_hash(other)


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("a", "A"), ("\ufb01", "fi"), ("a", "a\u200b")])
def test_everything_else_counts(one: str, other: str) -> None:
    """Case, compatibility forms and zero-width characters are content."""
    assert content_hash(one) != content_hash(other)

"""What the copy of one document on the target tells of a write to FAISS."""

import pytest

from drill.proof.copies import Copy, Known, judge_copy

SAME = Known(listed=True, comparable=True)
OTHER = Known(listed=True, comparable=False)
LARGE = Known(listed=False, comparable=True)
LARGE_OTHER = Known(listed=False, comparable=False)


@pytest.mark.parametrize(
    ("known", "new", "was", "now", "copy"),
    [
        (SAME, True, None, None, Copy.ABSENT),
        (SAME, True, None, "f", Copy.REACHED),
        (SAME, True, None, "x", Copy.OTHERWISE),
        (SAME, True, "x", "x", Copy.UNTOUCHED),
        (SAME, True, "f", "f", Copy.SILENT),
        (SAME, True, "x", "f", Copy.REACHED),
        (SAME, False, "x", "x", Copy.UNTOUCHED),
        (SAME, False, "x", "f", Copy.REACHED),
        (SAME, False, "x", "y", Copy.SUSPECT),
        (SAME, False, None, "y", Copy.SUSPECT),
        (SAME, False, None, "f", Copy.REACHED),
        (SAME, False, "", "", Copy.SILENT),
        (OTHER, True, None, "md5", Copy.REACHED),
        (OTHER, False, None, "md5", Copy.REACHED),
        (OTHER, False, "md5", "md5", Copy.SILENT),
        (OTHER, False, "md5", "other", Copy.REACHED),
        (OTHER, False, "md5", None, Copy.ABSENT),
        (LARGE, True, None, "f", Copy.REACHED),
        (LARGE, True, None, "x", Copy.SUSPECT),
        (LARGE, False, None, "x", Copy.UNTOUCHED),
        (LARGE, False, None, "f", Copy.REACHED),
        (LARGE_OTHER, True, None, "md5", Copy.SUSPECT),
        (LARGE_OTHER, False, None, "md5", Copy.SILENT),
        (LARGE_OTHER, True, None, None, Copy.ABSENT),
    ],
)
def test_a_copy_tells_only_what_it_can(known: Known, new: bool, was: str | None, now: str | None, copy: Copy) -> None:
    """An id that has come since counts whatever its hash; what was there before is not taken for fresh."""
    assert judge_copy(known, new=new, written="f", was=was, now=now) is copy

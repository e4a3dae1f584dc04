"""The corpus: exact bytes, verdict, and who reads something else."""

import io
from typing import Any

import pytest
from dotenv import dotenv_values

from drill.envfile import FLAGS, plan_edit
from drill.envfile.parse import NotText, parse
from drill.envfile.readers import _models, misreadings
from drill.envfile.readers.base import Unreadable

from .support import CORPUS, SAMPLES, Sample

EVERY = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
UTF8 = pytest.mark.parametrize(
    "sample", [sample for sample in SAMPLES if sample.sidecar["encoding"] == "utf-8"], ids=lambda sample: sample.name
)


def test_the_corpus_is_whole() -> None:
    """All 24 pairs are here, with the bytes the sidecars were made for."""
    assert len(SAMPLES) == 24
    assert [len(sample.data) for sample in SAMPLES] == [sample.sidecar["input"]["bytes"] for sample in SAMPLES]
    assert "* -text" in (CORPUS / ".gitattributes").read_text()


@EVERY
def test_the_edit_gives_the_expected_bytes(sample: Sample) -> None:
    """A file that may be edited gets exactly the hand-marked bytes; a refused one stays."""
    plan = plan_edit(sample.data)
    assert plan.new_bytes == (sample.data if sample.policy == "refuse" else sample.expected)
    assert plan.unchanged == (plan.new_bytes == sample.data)


@EVERY
def test_the_verdict_is_the_recommended_policy(sample: Sample) -> None:
    """The verdict is derived from the modelled readers, and comes out as the sidecar recommends."""
    plan = plan_edit(sample.data)
    assert plan.verdict == sample.policy
    assert bool(plan.reason) == (sample.policy == "refuse" or not sample.data)


@EVERY
def test_the_warnings_name_the_observed_misreaders(sample: Sample) -> None:
    """Exactly the readers that were observed to miss the values are named, and nobody else."""
    if sample.policy == "refuse":
        assert plan_edit(sample.data).warnings == ()
        return
    named = {reader for misreading in misreadings(sample.expected, FLAGS) for reader in misreading.readers}
    assert named == sample.misreaders
    text = " ".join(plan_edit(sample.data).warnings)
    assert all(reader in text for reader in named)


@UTF8
@pytest.mark.parametrize("when", ["before", "after"])
def test_every_model_sees_what_its_reader_was_observed_to_see(sample: Sample, when: str) -> None:
    """Value by value, for all readers; references to variables, which a model does not resolve, left out."""
    data = sample.data if when == "before" else sample.expected
    for name, observed in sample.sidecar["observed_readers"][when].items():
        if name == "python-dotenv":
            continue
        try:
            seen = _models()[name](data)
        except Unreadable:
            assert observed == "error", name
            continue
        assert isinstance(observed, dict), name
        for key in FLAGS:
            if "$" not in seen.get(key, ""):
                assert seen.get(key) == _or_none(observed[key]), (name, key)


def _or_none(value: Any) -> str | None:
    return None if value == "<absent>" else value


@EVERY
def test_the_reading_is_python_dotenvs(sample: Sample) -> None:
    """Values, broken lines and text errors are those of python-dotenv 1.2.4."""
    facts = sample.sidecar["python_dotenv"]
    if facts["raises"]:
        with pytest.raises(NotText):
            parse(sample.data)
        return
    parsed = parse(sample.data)
    assert list(parsed.broken) == facts["lines_with_parse_errors"]
    for key, value in facts["values"].items():
        assert parsed.interpolated().get(key, "<absent>") == value
    text = io.TextIOWrapper(io.BytesIO(sample.data), encoding="utf-8")
    assert parsed.values() == dict(dotenv_values(stream=text, interpolate=False))

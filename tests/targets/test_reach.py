"""What could not be kept or written back is said before anything is deleted; and what strict servers are asked."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from drill.target.qdrant_ids import IdCondition
from tests.targets.stages import OpensearchStage, Stage, WeaviateStage


@pytest.mark.parametrize("source", [{"excludes": ["embedding"]}, {"includes": ["text"]}, {"enabled": False}])
def test_a_mapping_that_keeps_less_than_the_document_is_named(
    opened_stages: Callable[[str], Stage], source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarantine would hold no vector, say: the whole source is all that can be kept."""
    place = opened_stages("opensearch")
    assert isinstance(place, OpensearchStage)
    place.reset()
    with closing(place.open("a")) as target:
        mappings = target._client.mappings(place._name)  # type: ignore[attr-defined]
    client = type(target._client)  # type: ignore[attr-defined]
    monkeypatch.setattr(client, "mappings", lambda *_: [{**one, "_source": source} for one in mappings])
    with closing(place.open("a")) as target:
        assert "out of its _source" in target.reaches()[0]  # type: ignore[attr-defined]


def test_a_whole_source_is_no_objection(opened_stages: Callable[[str], Stage]) -> None:
    place = opened_stages("opensearch")
    place.reset()
    with closing(place.open("a")) as target:
        assert target.reaches() == []  # type: ignore[attr-defined]


def test_cross_references_of_weaviate_are_named(opened_stages: Callable[[str], Stage]) -> None:
    """They are in no export, so they would not come back."""
    place = opened_stages("weaviate")
    assert isinstance(place, WeaviateStage)
    place.reset()
    with closing(place.open("a")) as target:
        assert target.reaches() == []  # type: ignore[attr-defined]
        target._has_references = True  # type: ignore[attr-defined]
        assert "cross-references" in target.reaches()[0]  # type: ignore[attr-defined]


def asked(condition: IdCondition, *ids: str) -> list[str]:
    """Return what is asked for, one word each."""
    found = condition.any_of(list(ids)).should
    return [str(one.match if one.match is not None else one.range) for one in found]


def test_a_strict_server_is_asked_for_the_types_that_were_seen() -> None:
    """It refuses a condition that no index serves, and with it the whole look-up."""
    pytest.importorskip("qdrant_client")
    assert len(asked(IdCondition("doc_id"), "7")) == 2
    assert len(asked(IdCondition("doc_id", {str}, strict=True), "7")) == 1
    [only] = asked(IdCondition("doc_id", {int}, strict=True), "7")
    assert only == "any=[7]"
    assert len(asked(IdCondition("doc_id", {str, int}, strict=True), "7")) == 2
    assert len(asked(IdCondition("doc_id", {str, float, bool}), "2.5", "true")) == 3

"""The corpus and its embedding: real, large enough, deterministic, and fit for golden queries."""

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.corpus import TENANTS, documents, golden_ids
from sandbox.embedding import DIM, embed
from sandbox.home import ROOT
from sandbox.traffic_plan import HOT, NOTES, edit, hot_documents, note


def test_the_corpus_holds_at_least_2000_different_passages() -> None:
    """No passage counts twice."""
    assert len({document.text for document in documents("default")}) >= 2000


def test_ids_are_unique_and_name_their_tenant() -> None:
    """No id of one tenant can be taken for another's."""
    for tenant in TENANTS:
        ids = [document.id for document in documents(tenant)]
        assert len(ids) == len(set(ids))
        assert all(one.startswith(f"{tenant}-") for one in ids)


def test_every_golden_query_ranks_its_answer_first() -> None:
    """The answer is found by the embedding, not by the list."""
    docs = documents("default")
    matrix = embed([document.text for document in docs])
    golden = golden_ids("default")
    assert len(golden) >= 6
    for query, expected in golden.items():
        assert docs[int((matrix @ embed([query])[0]).argmax())].id == expected


def test_golden_answers_stay_in_the_top_5_after_all_the_traffic_has_written() -> None:
    """New notes and edits never push a golden answer out."""
    docs = {document.id: document for document in documents("default")}
    for number in range(NOTES):
        written = note("default", number)
        docs[written.id] = written
    for number in range(2 * HOT):
        docs[edit("default", number).id] = edit("default", number)
    ids, matrix = list(docs), embed([document.text for document in docs.values()])
    for query, expected in golden_ids("default").items():
        best = np.argsort(-(matrix @ embed([query])[0]))[:5]
        assert expected in [ids[row] for row in best]


def test_the_traffic_never_edits_a_golden_answer() -> None:
    """What the smoke tests look for stays as it is."""
    for tenant in TENANTS:
        assert not {document.id for document in hot_documents(tenant)} & set(golden_ids(tenant).values())


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_every_text_has_a_finite_vector_of_length_1(text: str) -> None:
    """Also texts without a single word."""
    (vector,) = embed([text])
    assert vector.shape == (DIM,)
    assert np.isclose(np.linalg.norm(vector), 1.0, atol=1e-5)


def test_embedding_is_the_same_in_another_process() -> None:
    """Nothing depends on the interpreter's hash seed."""
    text = documents("default")[7].text
    code = f"from sandbox.embedding import embed; print(embed([{text!r}])[0].tobytes().hex())"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == embed([text])[0].tobytes().hex()

"""What a rehearsal runs on is private, harmless and gone afterwards."""

import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from drill.errors import CannotMeasure
from drill.rehearsal.private import Overridden, private_scene, unreachable

ENV = b"RETRIEVAL_BACKEND=faiss\nFAISS_DATA_DIR=data\nPGVECTOR_DSN='postgresql://u:p@db:5432/x?host=%2Fs'\nOTHER=1"


def keys(folder: Path, max_bytes: int = 1 << 20) -> Overridden:
    return Overridden("FAISS_DATA_DIR", "PGVECTOR_DSN", folder, max_bytes)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "default").mkdir(parents=True)
    (tmp_path / "data" / "default" / "index.faiss").write_bytes(b"index")
    return tmp_path / "data"


def test_the_copy_is_private_the_target_is_out_of_reach_and_nothing_stays(tmp_path: Path, data: Path) -> None:
    values = {"FAISS_DATA_DIR": "data", "PGVECTOR_DSN": "postgresql://u:p@db:5432/x?host=%2Fs"}
    with private_scene(ENV, values, keys(tmp_path)) as scene:
        read = dotenv_values(scene.env_file)
        assert read["PGVECTOR_DSN"] == "postgresql://u:p@127.0.0.1:1/x"
        assert (read["RETRIEVAL_BACKEND"], read["OTHER"]) == ("faiss", "1")
        assert read["FAISS_DATA_DIR"] == str(scene.faiss_dir)
        assert scene.faiss_dir is not None
        assert (scene.faiss_dir / "default" / "index.faiss").read_bytes() == b"index"
        assert stat.S_IMODE(scene.env_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(scene.env_file.parent.stat().st_mode) == 0o700
        (scene.faiss_dir / "default" / "index.faiss").write_bytes(b"damaged")
    assert not scene.env_file.parent.exists()
    assert (data / "default" / "index.faiss").read_bytes() == b"index"


def test_data_that_is_not_there_or_too_large_is_said_and_leaves_nothing(tmp_path: Path, data: Path) -> None:
    assert data.is_dir()
    for values, bound, words in (
        ({"FAISS_DATA_DIR": "elsewhere"}, 1 << 20, "no directory"),
        ({"FAISS_DATA_DIR": "data"}, 1, "MiB"),
    ):
        with pytest.raises(CannotMeasure, match=words), private_scene(ENV, values, keys(tmp_path, bound)):
            pass


@pytest.mark.parametrize(
    ("url", "dead"),
    [
        ("postgresql://u:p@db:5432/x", "postgresql://u:p@127.0.0.1:1/x"),
        ("https://qdrant.internal:6333", "https://127.0.0.1:1"),
        ("host=db dbname=x", ""),
        ("", ""),
    ],
)
def test_a_url_keeps_all_but_its_address(url: str, dead: str) -> None:
    assert unreachable(url) == dead

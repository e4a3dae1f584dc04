"""The keys of ``[target]``: each kind has its own, and a service's own names are their defaults."""

from pathlib import Path

import pytest

from drill.config import Target
from drill.config_load import load_config
from drill.errors import UsageError
from drill.target import KINDS, settings
from drill.target.connection import Access


def load(tmp_path: Path, toml: str = "", env: dict[str, str | None] | None = None, **environ: str) -> Target:
    file = tmp_path / "drill.toml"
    file.write_text(toml)
    return load_config(file, tmp_path / ".env", env or {}, environ).target


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_read_into_its_own_keys(tmp_path: Path, kind: str) -> None:
    assert type(load(tmp_path, f'[target]\nkind = "{kind}"')) is settings.KINDS[kind]


def test_a_key_of_another_kind_is_refused_by_its_name(tmp_path: Path) -> None:
    """And says whose it is."""
    with pytest.raises(UsageError, match=r"unknown key 'table' of kind pgvector, not of qdrant; expected one of kind"):
        load(tmp_path, '[target]\nkind = "qdrant"\ntable = "x"')
    with pytest.raises(UsageError, match="unknown key 'nonsense'; expected one of"):
        load(tmp_path, '[target]\nkind = "qdrant"\nnonsense = "x"')
    with pytest.raises(UsageError, match=r"unknown key 'dsn_env' of kind pgvector, not of none"):
        load(tmp_path, '[target]\ndsn_env = "X"')


def test_an_unknown_kind_that_was_written_down_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seen 'oracle', expected one of pgvector, qdrant"):
        load(tmp_path, '[target]\nkind = "oracle"')
    with pytest.raises(UsageError, match="seen 'oracle'"):
        load(tmp_path, DRILL_TARGET__KIND="oracle")


def test_an_unknown_backend_of_the_service_does_not_stop_a_rollback(tmp_path: Path) -> None:
    """Step 2 will say that it cannot compare; the flags are written all the same."""
    assert load(tmp_path, env={"RETRIEVAL_TARGET_BACKEND": "oracle", "QDRANT_URL": "http://x"}).kind == ""


NAMES = {
    "qdrant": {"QDRANT_URL": "url_env", "QDRANT_API_KEY": "api_key_env"},
    "weaviate": {"WEAVIATE_URL": "url_env", "WEAVIATE_API_KEY": "api_key_env"},
    "elasticsearch": {"ELASTICSEARCH_URL": "url_env", "ELASTICSEARCH_API_KEY": "api_key_env"},
    "opensearch": {"OPENSEARCH_URL": "url_env", "OPENSEARCH_PASSWORD": "password_env"},
    "pinecone": {"PINECONE_API_KEY": "api_key_env", "PINECONE_INDEX_HOST": "url_env"},
    "milvus": {"MILVUS_URI": "url_env", "MILVUS_TOKEN": "token_env"},
    "chroma": {"CHROMA_URL": "url_env", "CHROMA_TOKEN": "token_env"},
}


@pytest.mark.parametrize("kind", NAMES)
def test_the_service_s_own_names_are_the_defaults_of_the_connection(tmp_path: Path, kind: str) -> None:
    """By name: the values are read when they are needed."""
    env: dict[str, str | None] = {
        "RETRIEVAL_TARGET_BACKEND": kind,
        **dict.fromkeys(NAMES[kind], "http://secret.example"),
    }
    found = load(tmp_path, env=env)
    assert {name: getattr(found, key) for name, key in NAMES[kind].items()} == {name: name for name in NAMES[kind]}
    assert "secret.example" not in repr(found)
    written = load(tmp_path, f'[target]\nkind = "{kind}"', {**env, "RETRIEVAL_TARGET_BACKEND": None})
    assert written == found


def test_what_is_written_down_goes_before_the_service_s_names(tmp_path: Path) -> None:
    env: dict[str, str | None] = {"QDRANT_URL": "http://theirs", "QDRANT_COLLECTION": "theirs"}
    found = load(tmp_path, '[target]\nkind = "qdrant"\nurl = "http://ours:6333"', env, DRILL_TARGET__COLLECTION="ours")
    assert isinstance(found, settings.QdrantKeys)
    assert (found.url, found.url_env, found.collection) == ("http://ours:6333", "", "ours")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('url = "ftp://x"', "url: expected http"),
        ('url = "http://user:pass@x"', "holds credentials"),
        ('api_key_env = "not a name"', "expected the name of a variable"),
        ("statement_timeout_s = 0", "more than 0"),
        ('ca_file = "nowhere.pem"', r"\[target\] ca_file: cannot be used"),
    ],
)
def test_wrong_values_are_refused_by_their_key(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(tmp_path, f'[target]\nkind = "qdrant"\n{line}')


def test_every_key_is_of_one_type_wherever_it_occurs() -> None:
    """``DRILL_TARGET__<KEY>`` is read before the kind is known."""
    types: dict[str, set[object]] = {}
    for keys in settings.KINDS.values():
        for key, kind in settings.key_types(keys).items():
            types.setdefault(key, set()).add(kind)
    assert {key for key, kinds in types.items() if len(kinds) > 1} == set()


@pytest.mark.parametrize(
    ("text", "url", "username", "password"),
    [
        ("http://h", "http://h:6333", "", ""),
        ("h:1", "http://h:1", "", ""),
        ("https://u:p%40@h/x/", "https://h:6333/x", "u", "p@"),
        ("http://[::1]:2", "http://[::1]:2", "", ""),
    ],
)
def test_an_address_is_taken_apart(text: str, url: str, username: str, password: str) -> None:
    """What stands before the @ is kept apart from it."""
    keys = settings.QdrantKeys(kind="qdrant", url_env="URL")
    found = Access(keys, {"URL": text}).required_endpoint(6333)
    assert (found.url, found.username, found.password.reveal()) == (url, username, password)
    assert "p@" not in repr(found)

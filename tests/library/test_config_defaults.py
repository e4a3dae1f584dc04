"""The service's own names as defaults: taken where they can be, said where they cannot, and never an error."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from drill.checks import preflight
from drill.checks.alerts import alerts
from drill.config import Config, Target
from drill.config_defaults import kind_called
from drill.config_load import load_config
from drill.errors import CannotMeasure, NoFallback, UsageError
from drill.steps.purge import purge_delta
from drill.verdict import Verdict
from tests.library.world import MIGRATING, make_drill, served

SECRET = "hunter2-SECRET"
CALLED = {
    "pgvector": "pg PG_Vector postgres PostgreSQL postgresql15 psql pg-vector pgvector-store azure-postgres",
    "qdrant": "Qdrant QDRANT_CLOUD qdrantdb qdrant-client",
    "weaviate": "weaviate Weaviate_Cloud weaviate-v4 WeaviateVectorStore",
    "elasticsearch": "elastic ES es8 elasticsearch8 ElasticsearchStore elastic-cloud elastic_cloud_serverless",
    "opensearch": "OpenSearch open_search aws-opensearch amazon_opensearch_service aoss opensearch-serverless",
    "pinecone": "pinecone PINECONE_SERVERLESS pineconedb",
    "milvus": "milvus milvus-lite zilliz ZILLIZ_CLOUD",
    "chroma": "chroma chromadb ChromaDB chroma-cloud",
    "": "faiss none other vector store db 8 cloud mongodb op://prod/db/kind",
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in CALLED.items() for name in names.split()])
def test_a_kind_is_known_by_what_services_call_it(kind: str, name: str) -> None:
    assert kind_called(name) == kind


def load(folder: Path, env: Mapping[str, str | None], toml: str = "") -> Config:
    path = folder / "drill.toml"
    path.write_text(toml)
    return load_config(path, folder / ".env", env, {})


def test_an_alias_brings_the_kind_with_its_connection(tmp_path: Path) -> None:
    config = load(tmp_path, {"RETRIEVAL_TARGET_BACKEND": "Elastic", "ELASTIC_URL": "https://e", "ELASTIC_API_KEY": "k"})
    assert config.target.kind == "elasticsearch"
    assert (config.target.address_env, getattr(config.target, "api_key_env", "")) == ("ELASTIC_URL", "ELASTIC_API_KEY")
    assert config.taken["[target] kind"] == "RETRIEVAL_TARGET_BACKEND"


UNUSABLE = {
    "a reference for Prometheus": ({"PROM_QUERY_URL": f"op://{SECRET}/url"}, "", "[metrics] prometheus_url"),
    "credentials for Prometheus": ({"PROM_QUERY_URL": f"http://u:{SECRET}@p"}, "", "[metrics] prometheus_url"),
    "a query for Prometheus": ({"PROM_QUERY_URL": f"http://p/?k={SECRET}"}, "", "[metrics] prometheus_url"),
    "a cipher for Prometheus": ({"PROM_QUERY_URL": f"encrypted:{SECRET}"}, "", "[metrics] prometheus_url"),
    "a bucket for FAISS": ({"FAISS_DATA_DIR": f"s3://{SECRET}/faiss"}, "", "[primary] path"),
    "a home for FAISS": ({"FAISS_DATA_DIR": f"~{SECRET}/faiss"}, "", "[primary] path"),
    "an unknown kind": ({"RETRIEVAL_TARGET_BACKEND": SECRET}, "", "[target] kind"),
    "an unknown kind with keys of one": (
        {"RETRIEVAL_TARGET_BACKEND": SECRET, "MY_DSN": "x"},
        '[target]\ndsn_env = "MY_DSN"\nconnect_timeout_s = 1.0',
        "[target] kind",
    ),
    "a kind with keys of another": (
        {"RETRIEVAL_TARGET_BACKEND": "qdrant", "MY_DSN": SECRET},
        '[target]\ndsn_env = "MY_DSN"',
        "[target] kind",
    ),
}


@pytest.mark.parametrize(("env", "toml", "key"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_default_that_cannot_be_used_is_left_out_and_names_its_variable(
    tmp_path: Path, env: dict[str, str | None], toml: str, key: str
) -> None:
    config = load(tmp_path, env, toml)
    said = config.unusable[key]
    assert next(iter(env)) in said
    assert f"set {key}" in said
    assert SECRET not in said
    assert key not in config.taken
    assert (config.target.kind, config.metrics.prometheus_url, config.primary.path) == ("", "", "")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[metrics]\nprometheus_url = "op://x/y"', "[metrics] prometheus_url"),
        ('[target]\nkind = "elastic"', "probably 'elasticsearch'"),
        ('[target]\nkind = "other"', "[target] kind"),
        ("[target]\nno_such_key = 1", "'no_such_key'"),
        ('[target]\nconnect_timeout_s = "soon"', "connect_timeout_s"),
    ],
)
def test_what_was_written_for_the_drill_stays_an_error(tmp_path: Path, toml: str, words: str) -> None:
    """Even beside a default of the service that cannot be used."""
    env: dict[str, str | None] = {"RETRIEVAL_TARGET_BACKEND": "other", "PROM_QUERY_URL": "op://x"}
    with pytest.raises(UsageError) as caught:
        load(tmp_path, env, toml)
    assert words in str(caught.value)


def test_a_key_of_the_drill_makes_the_service_s_own_name_irrelevant(tmp_path: Path) -> None:
    env: dict[str, str | None] = {"RETRIEVAL_TARGET_BACKEND": "other", "PROM_QUERY_URL": "op://x"}
    config = load(tmp_path, env, '[target]\nkind = "qdrant"\n[metrics]\nprometheus_url = "http://p:9090"')
    assert (config.taken, config.unusable) == ({}, {})
    assert isinstance(config.target, Target)


def test_each_row_says_what_it_lacks_by_the_name_of_the_variable(tmp_path: Path) -> None:
    own = f"PROM_QUERY_URL=op://{SECRET}\nFAISS_DATA_DIR=s3://{SECRET}\nRETRIEVAL_TARGET_BACKEND={SECRET}\n"
    drill = make_drill(tmp_path, env=MIGRATING + own)
    drill.purge_mode = "auto"
    reasons = {
        "PROM_QUERY_URL": [preflight.metrics(drill).reason, alerts(drill, served()).reason],
        "FAISS_DATA_DIR": [preflight.faiss(drill).reason, purge_delta(drill, None)[1].reason],  # type: ignore[arg-type]
    }
    for name, texts in reasons.items():
        assert all(name in text for text in texts), texts
    assert SECRET not in repr(reasons)
    with pytest.raises(CannotMeasure, match="RETRIEVAL_TARGET_BACKEND"):
        drill.open_target()


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("postgres", "PGVECTOR_DSN", f"op://{SECRET}"),
        ("weaviate_cloud", "WEAVIATE_URL", f"op://{SECRET}"),
        ("qdrant", "QDRANT_URL", f"encrypted:{SECRET}"),
        ("elastic", "ELASTIC_URL", f"http://[{SECRET}"),
    ],
)
def test_an_address_of_the_service_s_own_is_named(tmp_path: Path, kind: str, name: str, value: str) -> None:
    """By its variable, never by what it holds; that the target cannot be asked ends no drill."""
    drill = make_drill(tmp_path, env=f"{MIGRATING}RETRIEVAL_TARGET_BACKEND={kind}\n{name}={value}\n")
    with pytest.raises(CannotMeasure, match=name) as caught:
        drill.open_target()
    assert SECRET not in str(caught.value)


def test_a_directory_of_the_service_that_is_not_here_is_no_proof_that_faiss_is_gone(tmp_path: Path) -> None:
    """It may be relative to the service's own working directory, or lie in its container."""
    evidence = preflight.faiss(make_drill(tmp_path, env=f"{MIGRATING}FAISS_DATA_DIR=data/faiss\n"))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert str(tmp_path / "data" / "faiss") in evidence.reason
    assert "set [primary] path" in evidence.reason
    (tmp_path / "written").mkdir()
    with pytest.raises(NoFallback):
        preflight.faiss(make_drill(tmp_path / "written", toml='[primary]\npath = "data/faiss"'))


def test_a_tenant_of_the_service_that_faiss_does_not_have_is_no_proof_either(tmp_path: Path) -> None:
    folder = tmp_path / "faiss"
    (folder / "acme").mkdir(parents=True)
    own = f"{MIGRATING}FAISS_DATA_DIR={folder}\nDEFAULT_TENANT=Acme-Corp\n"
    evidence = preflight.faiss(make_drill(tmp_path, env=own))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "DEFAULT_TENANT" in evidence.reason
    (tmp_path / "written").mkdir()
    with pytest.raises(NoFallback):
        preflight.faiss(make_drill(tmp_path / "written", env=own, toml='[service]\ntenants = ["Acme-Corp"]'))

"""Targets that are down, silent, closed, or not what the configuration says: one clear line each, in bounded time."""

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pytest

from drill.config import Target as Keys
from drill.errors import CannotMeasure, TargetUnavailable
from drill.target import KINDS, open_target, settings
from drill.target.base import TellsOfWrites
from tests.targets.http_double import Asked, serving
from tests.targets.stages import Stage

PASSWORD = "hunter2-hunter2"
ENV: Mapping[str, str | None] = {"SECRET": PASSWORD, "DSN": f"postgresql://u:{PASSWORD}@127.0.0.1:1/db"}
SECRETS: dict[str, dict[str, Any]] = {
    "pgvector": {"dsn_env": "DSN"},
    "qdrant": {"api_key_env": "SECRET"},
    "weaviate": {"api_key_env": "SECRET"},
    "elasticsearch": {"api_key_env": "SECRET"},
    "opensearch": {"password_env": "SECRET"},
    "pinecone": {"api_key_env": "SECRET"},
    "milvus": {"token_env": "SECRET"},
    "chroma": {"token_env": "SECRET"},
}
PACKAGES = {
    "qdrant": "qdrant_client",
    "weaviate": "weaviate",
    "elasticsearch": "elasticsearch",
    "opensearch": "opensearchpy",
    "pinecone": "pinecone",
    "milvus": "pymilvus",
    "chroma": "chromadb",
}
REMOTE = tuple(PACKAGES)
HTTP = ("qdrant", "elasticsearch", "opensearch", "pinecone", "chroma")


def keys(kind: str, url: str = "http://127.0.0.1:1", **changes: Any) -> Keys:
    address = {} if kind == "pgvector" else {"url": url}
    quick = {"connect_timeout_s": 1.0, "statement_timeout_s": 2.0}
    return settings.KINDS[kind](**{"kind": kind, **quick, **address, **SECRETS[kind], **changes})


def refused(kind: str, **changes: Any) -> str:
    """Open a target that cannot be had and return what is said; it is one line and holds no secret."""
    with pytest.raises(CannotMeasure) as caught:
        open_target(keys(kind, **changes), ENV, ["a"])
    said = str(caught.value)
    assert "\n" not in said
    assert PASSWORD not in said
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_that_is_down_is_said_at_once(kind: str) -> None:
    """Nothing listens there."""
    started = time.monotonic()
    assert "connection refused" in refused(kind)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("kind", REMOTE)
def test_a_host_that_has_no_address_is_said(kind: str) -> None:
    assert "host name not found" in refused(kind, url="http://nowhere.invalid:6333")


@contextmanager
def silent_server() -> Iterator[str]:
    """Accept connections and never answer."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("kind", REMOTE)
def test_a_target_that_never_answers_is_given_up(kind: str) -> None:
    """The client's own time limit, not the user's patience."""
    started = time.monotonic()
    with silent_server() as url, silent_server() as other:
        changes = {"grpc_url": other} if kind == "weaviate" else {}
        said = refused(kind, url=url, **changes)
    assert "no answer in time" in said or "connection refused" in said
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize(
    ("status", "words"), [(401, "login refused"), (403, "permission denied"), (503, "not available")]
)
def test_a_refused_login_is_said_without_the_secret(kind: str, status: int, words: str) -> None:
    """Also without what the server says, which may hold more than it should."""
    with serving(lambda *_: (status, {"error": f"no {PASSWORD}", "status": {"error": PASSWORD}})) as url:
        assert words in refused(kind, url=url) or kind == "pinecone"


@pytest.mark.parametrize("kind", ["qdrant", "elasticsearch", "opensearch", "pinecone", "chroma"])
def test_credentials_are_sent_in_a_header_and_never_in_the_address(kind: str) -> None:
    """An address is logged everywhere."""
    asked = Asked()
    with serving(lambda *_: (401, {}), asked=asked) as url:
        refused(kind, url=url)
    assert asked.requests
    assert any(PASSWORD in value or "Basic" in value for one in asked.headers for value in one.values())
    assert not any(PASSWORD in path for _, path in asked.requests)


def test_credentials_in_an_address_are_taken_out_of_it() -> None:
    """A service may keep them there."""
    asked = Asked()
    with serving(lambda *_: (401, {}), asked=asked) as url:
        env = {"URL": url.replace("//", f"//user:{PASSWORD}@")}
        with pytest.raises(TargetUnavailable, match="login refused") as caught:
            open_target(settings.OpensearchKeys(kind="opensearch", url_env="URL"), env, ["a"])
    assert PASSWORD not in str(caught.value)
    assert any(one.get("authorization", "").startswith("Basic") for one in asked.headers)


@pytest.mark.parametrize("kind", ["qdrant", "elasticsearch", "opensearch", "pinecone", "chroma", "weaviate"])
def test_a_server_that_speaks_nonsense_is_said(kind: str) -> None:
    """A proxy's page in place of an answer."""
    with (
        serving(lambda *_: (200, b"<html>hello</html>"), {"Content-Type": "text/html"}) as url,
        silent_server() as other,
    ):
        assert "check [target]" in refused(kind, url=url, **({"grpc_url": other} if kind == "weaviate" else {}))


@pytest.mark.parametrize("kind", REMOTE)
def test_a_missing_client_names_the_extra_to_install(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients are optional."""
    monkeypatch.setitem(sys.modules, PACKAGES[kind], None)
    assert f"pip install 'rollback-drill[{kind}]'" in refused(kind)


@pytest.mark.parametrize("kind", REMOTE)
def test_a_target_without_an_address_says_which_key_to_set(kind: str) -> None:
    assert "[target]" in refused(kind, url="")


@pytest.mark.parametrize("kind", KINDS)
def test_a_variable_that_is_not_set_is_named(kind: str) -> None:
    """The name, which is no secret."""
    name = next(iter(SECRETS[kind]))
    with pytest.raises(CannotMeasure, match="NOT_SET"):
        open_target(keys(kind, **{name: "NOT_SET"}), ENV, ["a"])


@pytest.mark.parametrize("kind", REMOTE)
def test_a_certificate_nobody_vouches_for_is_refused(kind: str, tls_server: str) -> None:
    """TLS verification is on and cannot be turned off."""
    with silent_server() as other:
        said = refused(kind, url=tls_server, **({"grpc_url": other} if kind == "weaviate" else {}))
    assert "TLS certificate not accepted" in said


MISSING = {
    "pgvector": {"table": "nowhere"},
    "elasticsearch": {"index": "nowhere"},
    "opensearch": {"index": "nowhere"},
    "pinecone": {"namespace": "nowhere-{tenant}"},
}


def test_a_missing_collection_is_said(stage: Stage) -> None:
    """Table, collection, index, class or namespace."""
    stage.write({"d0": "x"})
    with pytest.raises(TargetUnavailable, match=r"not found.*check"):
        stage.open(**MISSING.get(stage.kind, {"collection": "Nowhere"}))


WRONG_FIELDS: dict[str, list[tuple[dict[str, str], str]]] = {
    "pgvector": [({"id_field": "key"}, "no column 'key'"), ({"hash_field": "digest"}, "no column 'digest'")],
    "weaviate": [({"id_field": "key"}, "no property 'key'"), ({"id_field": "text"}, "compared by word")],
    "elasticsearch": [({"tenant_field": "text"}, "not a keyword"), ({"hash_field": "digest"}, "no field 'digest'")],
    "opensearch": [({"tenant_field": "text"}, "not a keyword"), ({"hash_field": "digest"}, "no field 'digest'")],
    "milvus": [({"id_field": "text"}, "not a primary key"), ({"vector_field": "vec"}, "no field 'vec'")],
    "qdrant": [({"uuid5_namespace": "nonsense"}, "expected a UUID")],
}


def test_a_field_that_is_not_what_it_should_be_is_said(stage: Stage) -> None:
    """Before anything is compared by it."""
    for changes, said in WRONG_FIELDS.get(stage.kind, []):
        with pytest.raises(CannotMeasure, match=said):
            stage.open(**changes)


@pytest.mark.parametrize(
    ("changes", "said"), [({"id_field": "key"}, "no 'key'"), ({"uuid5_namespace": "dns"}, "uuid5")]
)
def test_a_wrong_id_field_of_qdrant_does_not_make_everything_an_orphan(
    opened_stages: Callable[[str], Stage], changes: dict[str, str], said: str
) -> None:
    """The first page shows that ids are not where they are looked for."""
    place = opened_stages("qdrant-local")
    place.reset()
    place.write({"d0": "x"})
    with pytest.raises(TargetUnavailable, match=said):
        list(place.open(**changes).scan("a"))


def test_a_target_that_goes_away_during_its_use_is_said(opened_stages: Callable[[str], Stage]) -> None:
    """Scan, look-up, export, delete and write-back each end in one line; a later try on a living one works."""
    from tests.targets.pinecone_double import Index
    from tests.targets.stages import PineconeStage

    index = Index()
    broken = {"now": False}

    def route(*asked: Any) -> Any:
        return (501, {"message": "internal"}) if broken["now"] else index.route(*asked)

    with serving(route) as url:
        place = PineconeStage(url, index)
        place.write({"d0": "x"})
        target = place.open("a")
        rows = list(target.export("a", ["d0"]))
        broken["now"] = True
        calls: list[Callable[[], object]] = [
            target.counts,
            lambda: list(target.scan("a")),
            lambda: target.present("a", ["d0"]),
            lambda: target.export("a", ["d0"]),
            lambda: target.delete("a", [rows[0].pair]),
            lambda: target.restore("a", rows),
        ]
        for call in calls:
            with pytest.raises(TargetUnavailable, match="target pinecone: the server answered 501"):
                call()
        broken["now"] = False
        assert target.counts() == {"a": 1}
        target.close()


def test_a_search_with_failed_shards_is_no_answer(opened_stages: Callable[[str], Stage]) -> None:
    """Else what was not looked at would pass for deleted."""
    from tests.targets.elastic_double import HEADERS, Translation
    from tests.targets.stages import ElasticsearchStage

    whole = opened_stages("elasticsearch")
    assert isinstance(whole, ElasticsearchStage)
    whole.reset()
    whole.write({"d0": "x"})
    through = Translation(whole.url).route

    def route(method: str, path: str, query: Any, body: bytes) -> Any:
        status, answer = through(method, path, query, body)
        if path.endswith("_search"):
            answer["_shards"] = {"total": 2, "successful": 1, "failed": 1}
        return status, answer

    with serving(route, HEADERS) as url, closing(whole.open(url=url)) as target:
        for call in (lambda: target.present("a", ["d0"]), lambda: list(target.scan("a"))):
            with pytest.raises(TargetUnavailable, match="without all shards"):
                call()


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_an_index_that_takes_no_writes_says_so(opened_stages: Callable[[str], Stage], kind: str) -> None:
    """As one does whose disk is nearly full: then no dual-write comes there, whatever its flag."""
    from tests.targets.elastic_double import HEADERS, Translation
    from tests.targets.stages import OpensearchStage

    whole = opened_stages(kind)
    assert isinstance(whole, OpensearchStage)
    whole.reset()
    through = Translation(whole.url).route
    seen: list[tuple[int, dict[str, Any]]] = [(200, {})]
    headers = HEADERS if kind == "elasticsearch" else {}

    def route(method: str, path: str, query: Any, body: bytes) -> Any:
        return seen[0] if "_settings" in path else through(method, path, query, body)

    with serving(route, headers) as url, closing(whole.open(url=url)) as target:
        assert isinstance(target, TellsOfWrites)
        assert target.takes_no_writes() == ""
        for value, said in (("true", "(index.blocks.read_only_allow_delete is set)"), ("false", "")):
            blocks = {"index.blocks.read_only_allow_delete": value, "index.blocks.read": "true"}
            seen[0] = 200, {"i": {"settings": blocks}}
            assert target.takes_no_writes() == (said and f"the target takes no writes {said}")
        seen[0] = 403, {"error": {"type": "security_exception", "reason": "no"}, "status": 403}
        assert target.takes_no_writes() == ""


def test_a_delete_that_shows_late_is_waited_for(opened_stages: Callable[[str], Stage]) -> None:
    """Pinecone is eventually consistent: what is reported gone cannot be fetched any more."""
    from tests.targets.stages import PineconeStage

    place = opened_stages("pinecone")
    assert isinstance(place, PineconeStage)
    place.reset()
    place.write({"d0": "x", "d1": "y"})
    place.index.lag = 3
    with closing(place.open("a")) as target:
        [row] = target.export("a", ["d0"])
        assert target.delete("a", [row.pair]) == {"d0"}
        target.flush()
        assert target.present("a", ["d0"]) == set()


def test_an_inactive_tenant_of_weaviate_is_said(opened_stages: Callable[[str], Stage]) -> None:
    """It holds documents, but answers nothing: empty would be wrong."""
    from tests.targets.stages import WeaviateStage

    place = opened_stages("weaviate")
    assert isinstance(place, WeaviateStage)
    place.reset()
    place.collections.active["DocsNative", "a"] = False
    with closing(place.open("a")) as target, pytest.raises(TargetUnavailable, match=r"tenant 'a' is (cold|inactive)"):
        target.counts()


def test_tenancy_that_differs_from_the_collection_s_is_said(opened_stages: Callable[[str], Stage]) -> None:
    for name, changes in (("weaviate", {"tenant_field": "tenant"}), ("weaviate-shared", {"tenant_field": ""})):
        place = opened_stages(name)
        place.reset()
        with pytest.raises(TargetUnavailable, match="multi-tenant"):
            place.open(**changes)


def test_one_namespace_for_several_tenants_is_refused() -> None:
    """Pinecone cannot list by metadata: one tenant's documents would pass for another's orphans."""
    with pytest.raises(CannotMeasure, match="one namespace for several tenants"):
        open_target(keys("pinecone", namespace="all"), ENV, ["a", "b"])

"""Reading a configuration: who wins, and that every mistake is named without a secret."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from drill.config import Config, Query, Target
from drill.config_load import MAX_CHARS, find_config, load_config
from drill.errors import UsageError
from drill.target.settings import PgvectorKeys

SECRET = "hunter2-SECRET"


def load(
    folder: Path, toml: str = "", env: Mapping[str, str | None] | None = None, environ: Mapping[str, str] | None = None
) -> Config:
    path = folder / "drill.toml"
    path.write_text(toml)
    return load_config(path, folder / "env" / ".env", env or {}, environ or {})


def refusal(
    folder: Path, toml: str = "", env: Mapping[str, str | None] | None = None, environ: Mapping[str, str] | None = None
) -> str:
    with pytest.raises(UsageError) as caught:
        load(folder, toml, env, environ)
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    assert caught.value.__cause__ is None
    return text


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    assert load_config(None, tmp_path / ".env", {}, {}) == Config()


def test_every_source_beats_the_ones_below_it(tmp_path: Path) -> None:
    own: dict[str, str | None] = {"PROM_QUERY_URL": "http://service-name:9"}
    toml = '[metrics]\nprometheus_url = "http://toml:9"'
    in_file = {**own, "DRILL_METRICS__PROMETHEUS_URL": "http://env-file:9"}
    environ = {"DRILL_METRICS__PROMETHEUS_URL": "http://process:9"}
    assert load(tmp_path).metrics.prometheus_url == ""
    assert load(tmp_path, env=own).metrics.prometheus_url == "http://service-name:9"
    assert load(tmp_path, toml, own).metrics.prometheus_url == "http://toml:9"
    assert load(tmp_path, toml, in_file).metrics.prometheus_url == "http://env-file:9"
    assert load(tmp_path, toml, in_file, environ).metrics.prometheus_url == "http://process:9"


def test_sources_are_merged_key_by_key(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "[slo]\np50_ms = 7\np95_ms = 8\n[service]\nchat_path = ''",
        {"DEFAULT_TENANT": "acme", "DRILL_SLO__P95_MS": "9.5"},
        {"DRILL_SLO__MIN_REQUESTS": "40"},
    )
    assert (config.slo.p50_ms, config.slo.p95_ms, config.slo.min_requests) == (7.0, 9.5, 40)
    assert (config.service.tenants, config.service.chat_path) == (["acme"], "")


def test_the_service_s_own_names_serve_as_defaults(tmp_path: Path) -> None:
    env: dict[str, str | None] = {
        "FAISS_DATA_DIR": "data/faiss",
        "RETRIEVAL_TARGET_BACKEND": "pgvector",
        "PGVECTOR_URL": SECRET,
        "PROM_QUERY_URL": None,
    }
    config = load(tmp_path, env=env)
    assert config.primary.path == str(tmp_path / "env" / "data" / "faiss")
    assert isinstance(config.target, PgvectorKeys)
    assert (config.target.kind, config.target.dsn_env) == ("pgvector", "PGVECTOR_URL")
    assert SECRET not in repr(config)


def test_the_first_known_connection_name_that_is_set_is_taken(tmp_path: Path) -> None:
    env: dict[str, str | None] = {"RETRIEVAL_TARGET_BACKEND": "pgvector", "PGVECTOR_DSN": "", "PGVECTOR_URL": "x"}
    for more, taken in (({}, "PGVECTOR_URL"), ({"PGVECTOR_DSN": "y"}, "PGVECTOR_DSN")):
        target = load(tmp_path, env={**env, **more}).target
        assert isinstance(target, PgvectorKeys)
        assert target.dsn_env == taken


def test_an_unknown_target_kind_brings_no_connection(tmp_path: Path) -> None:
    assert load(tmp_path, env={"RETRIEVAL_TARGET_BACKEND": "other", "PGVECTOR_DSN": "x"}).target == Target()


def test_paths_of_the_file_are_relative_to_the_file_and_absolute_ones_stay(tmp_path: Path) -> None:
    assert load(tmp_path, '[primary]\npath = "faiss"').primary.path == str(tmp_path / "faiss")
    assert load(tmp_path, '[primary]\npath = "/srv/faiss"').primary.path == "/srv/faiss"
    assert load(tmp_path, environ={"DRILL_PRIMARY__PATH": "faiss"}).primary.path == "faiss"
    assert load(tmp_path, env={"FAISS_DATA_DIR": "/srv/faiss"}).primary.path == "/srv/faiss"


def test_lists_and_tables_of_variables_are_json(tmp_path: Path) -> None:
    environ = {
        "DRILL_SERVICE__INSTANCES": '["http://a:1", "http://b:2/"]',
        "DRILL_SMOKE__QUERIES": '[{"query": "q", "expect_ids": ["d1"]}]',
        "DRILL_SERVICE__CHAT_BODY": '{"message": ["any", 1, null]}',
        "DRILL_METRICS__NAMES": '{"retrieval_requests_total": "my_requests_total"}',
        "DRILL_REOPEN__SHADOW_SAMPLE_RATES": "[0.5, 1]",
    }
    config = load(tmp_path, environ=environ)
    assert config.service.urls == ("http://a:1", "http://b:2")
    assert config.smoke.queries == [Query("q", ["d1"])]
    assert config.service.chat_body == {"message": ["any", 1, None]}
    assert config.metrics.names == {"retrieval_requests_total": "my_requests_total"}
    assert config.reopen.shadow_sample_rates == [0.5, 1.0]


def test_without_instances_the_base_url_is_the_instance(tmp_path: Path) -> None:
    assert load(tmp_path, '[service]\nbase_url = "https://h/"').service.urls == ("https://h",)


def test_whole_numbers_are_numbers_and_become_floats(tmp_path: Path) -> None:
    value = load(tmp_path, "[slo]\np95_ms = 200").slo.p95_ms
    assert (value, type(value)) == (200.0, float)


def test_names_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"DRILL_OPERATOR": "x", "DRILL_ENV_FILE": "y", "OTHER__THING": "z"}) is not None


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("[slo]\np50 = 1", "'p50'"),
        ("[slos]\np50_ms = 1", "[slos]"),
        ("p50_ms = 1", "'p50_ms'"),
        ("[source]\nx = 1", "[source]"),
        ('[slo]\np50_ms = "fast"', "[slo] p50_ms"),
        ("[slo]\np50_ms = true", "[slo] p50_ms"),
        ("[slo]\np50_ms = nan", "[slo] p50_ms"),
        ("[slo]\np50_ms = inf", "[slo] p50_ms"),
        ("[slo]\np50_ms = [1]", "[slo] p50_ms"),
        ("[slo]\nmin_requests = 300.0", "[slo] min_requests"),
        ("[slo]\nmin_requests = true", "[slo] min_requests"),
        ("[slo]\nalerts = 3", "[slo] alerts"),
        ("[service]\nbase_url = 8000", "[service] base_url"),
        ('[service]\ninstances = "http://a"', "[service] instances"),
        ('[service]\ninstances = ["http://a", 2]', "[service] instances[1]"),
        ("[service]\nchat_body = []", "[service] chat_body"),
        ('[service]\nreload_command = "systemctl restart"', "[service] reload_command"),
        ("[metrics.names]\nretrieval_requests_total = 1", "[metrics] names.retrieval_requests_total"),
        ('[[smoke.queries]]\nexpect_ids = ["d"]', "[smoke] queries[0] misses a key; expected query"),
        ('[[smoke.queries]]\nquery = "q"\nids = []', "'ids'"),
        ("[smoke]\nqueries = [1]", "[smoke] queries[0]"),
        ("[window]\nopens = 2026-01-01T00:00:00Z", "[window] opens"),
    ],
)
def test_an_unknown_key_and_a_wrong_type_are_named(tmp_path: Path, toml: str, named: str) -> None:
    assert named in refusal(tmp_path, toml)


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ('[service]\nbase_url = "127.0.0.1:8000"', "base_url"),
        ('[service]\nbase_url = "ftp://h"', "base_url"),
        ('[service]\nbase_url = "http://"', "base_url"),
        ('[service]\nbase_url = "http://[::1"', "base_url"),
        ('[service]\nbase_url = "http://h:99999"', "base_url"),
        ('[service]\ninstances = ["nonsense"]', "instances"),
        ('[service]\ninstances = ["http://a", "http://a/"]', "are one address"),
        ("[service]\ntenants = []", "expected at least one"),
        ('[service]\nhealth_path = "health"', "health_path"),
        ('[service]\nsearch_path = ""', "search_path"),
        ('[service]\nembed_path = "x"', "embed_path"),
        ('[service]\nmetrics_path = "x"', "metrics_path"),
        ('[service]\nchat_path = "x"', "chat_path"),
        ('[service]\non_boot_failure = "pray"', "on_boot_failure"),
        ('[service]\nca_file = "missing.pem"', "ca_file"),
        ('[service]\nca_file = "drill.toml"', "ca_file"),
        ('[primary]\nkind = "annoy"', "[primary] kind"),
        ('[metrics]\nprometheus_url = "prom:9090"', "prometheus_url"),
        ('[metrics]\nprometheus_url = "prom:9090"\n[slo]\nalerts = ""', "prometheus_url"),
        ('[metrics]\nalertmanager_url = "am"', "alertmanager_url"),
        ('[window]\nopens = "soon"', "[window] opens"),
        ('[window]\ncloses = "2026-01-31T20:00:00"', "[window] closes"),
        ("[service]\nreload_timeout_s = 0", "reload_timeout_s"),
        ("[slo]\np50_ms = 0", "p50_ms"),
        ("[slo]\np95_ms = -1", "p95_ms"),
        ("[slo]\nerror_rate = 1.01", "error_rate"),
        ("[slo]\nerror_rate = -0.01", "error_rate"),
        ("[slo]\nmin_requests = 19", "min_requests"),
        ("[slo]\nmax_p50_ratio = 0.9", "max_p50_ratio"),
        ("[slo]\nmax_p95_ratio = 0.9", "max_p95_ratio"),
        ("[slo]\nobserve_s = 0", "observe_s"),
        ("[slo]\nmax_circuit_open_per_s = -1", "max_circuit_open_per_s"),
        ("[slo]\nrto_s = 0", "rto_s"),
        ("[purge]\nmax_fraction = 5", "max_fraction"),
        ("[purge]\nbatch = 0", "batch"),
        ("[purge]\ntime_budget_s = -1", "time_budget_s"),
        ("[smoke]\ntop_k = 0", "top_k"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named(tmp_path: Path, toml: str, named: str) -> None:
    assert named in refusal(tmp_path, toml)


def test_the_ends_of_a_range_are_allowed(tmp_path: Path) -> None:
    config = load(tmp_path, "[slo]\nerror_rate = 1\nmin_requests = 20\nmax_p50_ratio = 1\n[purge]\nmax_fraction = 0")
    assert (config.slo.error_rate, config.slo.min_requests, config.purge.max_fraction) == (1.0, 20, 0.0)


@pytest.mark.parametrize(
    "toml",
    [
        f'[service]\nbase_url = "http://user:{SECRET}@h"',
        f'[service]\ninstances = ["http://{SECRET}@h"]',
        f'[metrics]\nprometheus_url = "http://user:{SECRET}@h"\n[slo]\nalerts = ""',
        f'[metrics]\nalertmanager_url = "http://user:{SECRET}@h"',
        f'[service]\nbase_url = "{SECRET}"',
        f'[target]\ndsn_env = "postgresql://drill:{SECRET}@db/x"',
        f'[service]\nauth_token_env = "Bearer {SECRET}"',
        f'[metrics]\nbearer_token_env = "{SECRET}"',
        f'[target]\npassword = "{SECRET}"',
        f'[slo]\np50_ms = "{SECRET}"',
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(tmp_path: Path, toml: str) -> None:
    assert refusal(tmp_path, toml)


@pytest.mark.parametrize(
    "name",
    ["DRILL_SLO__P50", "DRILL_FOO__BAR", "DRILL_FOO__SERVICE", "DRILL_SOURCE__X", "DRILL___P50_MS", "DRILL_SLO__"],
)
@pytest.mark.parametrize("where", ["environ", "env"])
def test_an_unknown_setting_in_a_variable_is_named(tmp_path: Path, name: str, where: str) -> None:
    values = {name: SECRET}
    text = refusal(tmp_path, environ=values) if where == "environ" else refusal(tmp_path, env=dict(values))
    assert name in text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DRILL_SLO__P50_MS", "a number"),
        ("DRILL_SLO__MIN_REQUESTS", "a whole number"),
        ("DRILL_SERVICE__TENANTS", "a list"),
        ("DRILL_SERVICE__CHAT_BODY", "a table"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named_with_what_was_expected(tmp_path: Path, name: str, kind: str) -> None:
    text = refusal(tmp_path, environ={name: SECRET})
    assert name in text
    assert kind in text


def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path) -> None:
    text = refusal(tmp_path, "[slo]\np50_ms = = 1")
    assert "drill.toml" in text
    assert "line 2" in text
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads("[slo]\np50_ms = = 1")


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "drill.toml"
    path.write_bytes(b"[slo]\n# \xff")
    with pytest.raises(UsageError, match=r"drill\.toml: cannot be read"):
        load_config(path, tmp_path / ".env", {}, {})


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (f"x = {'[' * 100_000}", "cannot be meant"),
        (f"[slo]\nmin_requests = {'9' * 5000}", "cannot be meant"),
        (f"[slo]\np50_ms = {'9' * 400}", "[slo] p50_ms"),
        ("#" * (MAX_CHARS + 1), "more than"),
    ],
    ids=["deep", "many digits", "too large for a float", "large"],
)
def test_a_file_that_nobody_means_is_refused_in_one_line(tmp_path: Path, toml: str, words: str) -> None:
    assert words in refusal(tmp_path, toml)


def test_a_variable_that_nobody_means_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "DRILL_SMOKE__QUERIES" in refusal(tmp_path, environ={"DRILL_SMOKE__QUERIES": "[" * 100_000})


def test_a_file_that_windows_wrote_is_read(tmp_path: Path) -> None:
    """With a byte order mark in front and CRLF at the ends of its lines."""
    path = tmp_path / "drill.toml"
    path.write_bytes(b"\xef\xbb\xbf[slo]\r\np50_ms = 7\r\n")
    assert load_config(path, tmp_path / ".env", {}, {}).slo.p50_ms == 7.0


def test_the_configuration_is_looked_for_by_option_then_beside_the_env_file_then_in_the_root(tmp_path: Path) -> None:
    root, beside = tmp_path / "root", tmp_path / "beside"
    for folder in (root, beside):
        folder.mkdir()
    env_file, option = beside / ".env", tmp_path / "own.toml"
    assert find_config(None, env_file, root) is None
    (root / "drill.toml").touch()
    assert find_config(None, env_file, root) == root / "drill.toml"
    (beside / "drill.toml").touch()
    assert find_config(None, env_file, root) == beside / "drill.toml"
    with pytest.raises(UsageError, match="--drill-config"):
        find_config(option, env_file, root)
    option.touch()
    assert find_config(option, env_file, root) == option


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[metrics.names]\nretrieval_request_total = "x"', ("[metrics] names", "'retrieval_request_total'")),
        ('[metrics.names]\nretrieval_requests_total = "x y"', ("[metrics] names", "retrieval_requests_total")),
        ('[metrics.names]\nretrieval_requests_total = "x"\nretrieval_errors_total = "x"', ("the same name",)),
        ('[window]\nopens = "2026-01-31T20:00:00Z"\ncloses = "2026-01-31T20:00:00Z"', ("closes", "after opens")),
        ('[window]\nopens = "2026-01-31T20:00:00+02:00"\ncloses = "2026-01-31T17:59:00Z"', ("after opens",)),
    ],
)
def test_names_that_are_no_metrics_and_a_window_that_never_opens_are_refused(
    tmp_path: Path, toml: str, words: tuple[str, ...]
) -> None:
    text = refusal(tmp_path, toml)
    assert all(word in text for word in words)


def test_a_window_across_time_zones_is_compared_as_times(tmp_path: Path) -> None:
    toml = '[window]\nopens = "2026-01-31T20:00:00+02:00"\ncloses = "2026-01-31T18:01:00Z"'
    assert load(tmp_path, toml).window.closes == "2026-01-31T18:01:00Z"


@pytest.mark.parametrize("key", ["[service]\nbase_url", "[metrics]\nprometheus_url", "[metrics]\nalertmanager_url"])
@pytest.mark.parametrize(
    "url", [f"http://{SECRET}@h:1", f"http://u:{SECRET}@h:1", f"http://h/?token={SECRET}", f"http://h/#{SECRET}"]
)
def test_a_url_with_a_secret_in_it_is_refused_and_never_quoted(tmp_path: Path, key: str, url: str) -> None:
    assert "expected" in refusal(tmp_path, f'{key} = "{url}"') or "instead" in refusal(tmp_path, f'{key} = "{url}"')


def test_an_instance_with_credentials_is_refused_too(tmp_path: Path) -> None:
    assert "credentials" in refusal(tmp_path, f'[service]\ninstances = ["http://h:1", "http://u:{SECRET}@h:2"]')


@pytest.mark.parametrize(
    "url", ["http://<script>", "http://h\\u001b[31m", "http://h\\u202e", "http://a b", "http://h\\n"]
)
def test_a_url_with_markup_or_control_characters_is_refused(tmp_path: Path, url: str) -> None:
    assert "seen something else" in refusal(tmp_path, f'[service]\nbase_url = "{url}"')

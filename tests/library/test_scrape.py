"""Reading ``/metrics``: what is not a complete exposition is no evidence (METRICS.md, A1 and section c)."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress

import pytest

from drill.errors import CannotMeasure
from drill.http import HttpClient
from drill.metrics.exposition import Unreadable, read
from drill.metrics.scrape import RepeatedSeries, ScrapeSource
from drill.metrics.snapshot import Delta, Snapshot
from tests.library.server import CLASSIC, OPENMETRICS, Answer, ScriptedService, html, raw, scripted
from tests.library.world import key, shared_client, snapshot

HEAD = "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1000.5\n"
CLASSIC_TEXT = f"""{HEAD}# HELP retrieval_requests_total Requests.
# TYPE retrieval_requests_total counter
retrieval_requests_total{{backend="faiss",tenant="default"}} 7.0
# TYPE retrieval_requests_created gauge
retrieval_requests_created{{backend="faiss",tenant="default"}} 1.7e9
# TYPE retrieval_errors_total counter
"""
OPENMETRICS_TEXT = f"""{HEAD}# HELP retrieval_requests Requests.
# TYPE retrieval_requests counter
retrieval_requests_total{{backend="faiss",tenant="default"}} 7.0
retrieval_requests_created{{backend="faiss",tenant="default"}} 1.7e9
# TYPE retrieval_errors counter
# EOF
"""
FORMATS = [
    pytest.param(CLASSIC_TEXT, CLASSIC, id="classic"),
    pytest.param(OPENMETRICS_TEXT, OPENMETRICS, id="openmetrics"),
]


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        yield server


@pytest.fixture
def client() -> HttpClient:
    return shared_client()


class Scraper:
    """Reads what the server was told to expose."""

    def __init__(self, server: ScriptedService, client: HttpClient) -> None:
        self.server, self.client = server, client

    def __call__(self, text: str, kind: str = CLASSIC, **names: str) -> Snapshot:
        self.server.script["GET", "/metrics"] = Answer(text.encode(), kind=kind)
        return ScrapeSource(self.client, "/metrics", names).snapshot(self.server.url)


@pytest.fixture
def scrape(server: ScriptedService, client: HttpClient) -> Scraper:
    return Scraper(server, client)


@pytest.mark.parametrize(("text", "kind"), FORMATS)
def test_both_formats_give_the_same_families_and_samples(scrape: Scraper, text: str, kind: str) -> None:
    seen = scrape(text, kind)
    assert seen.total("retrieval_requests_total", backend="faiss") == 7
    assert (seen.has("retrieval_requests_total"), seen.has("retrieval_requests")) == (True, True)
    assert seen.start_time == 1000.5
    assert seen.instance == scrape.server.url


@pytest.mark.parametrize(("text", "kind"), FORMATS)
def test_registered_but_unborn_is_a_true_zero_and_not_registered_is_unknown(
    scrape: Scraper, text: str, kind: str
) -> None:
    seen = scrape(text, kind)
    assert (seen.has("retrieval_errors_total"), seen.total("retrieval_errors_total")) == (True, 0)
    assert not seen.has("retrieval_error_total")


def test_openmetrics_may_end_without_a_newline(scrape: Scraper) -> None:
    assert scrape(OPENMETRICS_TEXT.rstrip("\n"), OPENMETRICS).total("retrieval_requests_total") == 7


@pytest.mark.parametrize(("text", "kind"), FORMATS)
def test_creation_times_are_no_samples(scrape: Scraper, text: str, kind: str) -> None:
    assert {name for name, _ in scrape(text, kind).samples} == {
        "process_start_time_seconds",
        "retrieval_requests_total",
    }


def test_it_asks_for_openmetrics_past_every_cache_on_a_new_connection(scrape: Scraper) -> None:
    for _ in range(3):
        scrape(OPENMETRICS_TEXT, OPENMETRICS)
    asked = scrape.server.headers[-1]
    assert asked["accept"].startswith("application/openmetrics-text; version=1.0.0; q=1,")
    assert (asked["cache-control"], asked["connection"]) == ("no-cache", "close")
    assert len(scrape.server.connections) == 3


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param(OPENMETRICS_TEXT.removesuffix("# EOF\n"), OPENMETRICS, id="openmetrics without its end"),
        pytest.param(OPENMETRICS_TEXT[:200], OPENMETRICS, id="openmetrics cut in a line"),
        pytest.param("", OPENMETRICS, id="empty openmetrics"),
        pytest.param("# EOF\n", OPENMETRICS, id="openmetrics of nothing"),
        pytest.param("", CLASSIC, id="empty"),
        pytest.param("# TYPE retrieval_requests_total counter\n", CLASSIC, id="no sample"),
        pytest.param(CLASSIC_TEXT.rstrip("\n") + "\nretrieval_errors_tot", CLASSIC, id="classic cut in a line"),
        pytest.param("<html><body>login</body></html>\n", CLASSIC, id="html that calls itself text"),
        pytest.param('{"status": "success"}\n', CLASSIC, id="json that calls itself text"),
        pytest.param('{"status": "success"}', "application/json", id="json"),
    ],
)
def test_what_is_not_a_complete_exposition_cannot_be_measured(scrape: Scraper, text: str, kind: str) -> None:
    with pytest.raises(CannotMeasure, match="expected Prometheus metrics"):
        scrape(text, kind)


@pytest.mark.parametrize("kind", ["", "text/html", "text/html; charset=utf-8", "application/json", "text/plain"])
def test_the_classic_format_is_read_under_any_content_type(scrape: Scraper, kind: str) -> None:
    """A service that names no type, or Flask's own, is read as Prometheus reads it."""
    assert scrape(CLASSIC_TEXT, kind).total("retrieval_requests_total") == 7


@pytest.mark.parametrize(("ending", "readable"), [("retrieval_errors_total 1", False), ("", True)])
def test_a_page_that_ends_with_its_connection_is_whole_only_with_its_last_line(
    client: HttpClient, ending: str, readable: bool
) -> None:
    """Without a length nothing but the last line shows that a page was cut off in a number."""

    def talk(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {CLASSIC}\r\nConnection: close\r\n\r\n"
        connection.sendall((head + CLASSIC_TEXT + ending).encode())

    with raw(talk) as url, nullcontext() if readable else pytest.raises(CannotMeasure, match="may be cut off"):
        assert ScrapeSource(client, "/metrics", {}).snapshot(url).total("retrieval_requests_total") == 7


def test_a_page_of_known_length_may_end_without_a_newline(scrape: Scraper) -> None:
    """Prometheus reads it, and its length says that nothing is missing."""
    assert scrape(CLASSIC_TEXT + "retrieval_errors_total 12").total("retrieval_errors_total") == 12


@pytest.mark.parametrize("length", [1, len(CLASSIC_TEXT) // 2, len(CLASSIC_TEXT) - 1])
def test_a_page_that_is_shorter_than_it_says_cannot_be_measured(client: HttpClient, length: int) -> None:
    """Wherever a page of known length is cut off, even behind a line, it is no page."""

    def talk(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {CLASSIC}\r\nContent-Length: {len(CLASSIC_TEXT)}\r\n\r\n"
        connection.sendall((head + CLASSIC_TEXT[:length]).encode())

    with raw(talk) as url, pytest.raises(CannotMeasure, match="broken off"):
        ScrapeSource(client, "/metrics", {}).snapshot(url)


def test_a_part_of_a_page_is_no_page(scrape: Scraper, client: HttpClient) -> None:
    """206 says that there is more."""
    scrape.server.script["GET", "/metrics"] = Answer(CLASSIC_TEXT.encode(), 206, CLASSIC)
    with pytest.raises(CannotMeasure, match="HTTP 206"):
        ScrapeSource(client, "/metrics", {}).snapshot(scrape.server.url)


@pytest.mark.parametrize(("text", "kind"), FORMATS)
@pytest.mark.parametrize("again", ["0", "9", "7.5"])
def test_a_series_that_stands_twice_with_different_values_is_an_error_that_names_both(
    scrape: Scraper, text: str, kind: str, again: str
) -> None:
    """Neither copy is taken: the error names the series, its line, both values and the page."""
    line = 'retrieval_requests_total{tenant="default",backend="faiss"}'
    twice = text.replace("# TYPE retrieval_errors", f"{line} {again}\n# TYPE retrieval_errors")
    with pytest.raises(RepeatedSeries) as caught:
        scrape(twice, kind)
    said = str(caught.value)
    assert f"metrics of {scrape.server.url} at /metrics: line {twice[: twice.index(line)].count(chr(10)) + 1}: " in said
    assert 'retrieval_requests_total{backend="faiss",tenant="default"} stands here again' in said
    assert f"(7 and {again})" in said


@pytest.mark.parametrize(("text", "kind"), FORMATS)
def test_a_series_that_stands_twice_with_the_same_value_counts_once(scrape: Scraper, text: str, kind: str) -> None:
    """As Prometheus has it."""
    line = 'retrieval_requests_total{backend="faiss",tenant="default"} 7.0\n'
    assert scrape(text.replace(line, line + line), kind).total("retrieval_requests_total") == 7


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("# TYPE retrieval_shadow_reads counter\nretrieval_shadow_reads 7\n", CLASSIC),
        ("# TYPE retrieval_shadow_reads counter\nretrieval_shadow_reads 7\n# EOF\n", OPENMETRICS),
        ("retrieval_shadow_dropped 7\n", CLASSIC),
    ],
    ids=["classic", "openmetrics", "a counter of ours without a type"],
)
def test_a_counter_without_total_counts(scrape: Scraper, text: str, kind: str) -> None:
    """A page that calls a counter otherwise is no silence: what it counts is judged under the name with the ending."""
    moved = Delta(snapshot(samples={}, started=1000.5), scrape(HEAD + text, kind))
    assert list(dict(moved.counters("retrieval_shadow_")).values()) == [7]


def test_a_gauge_without_total_is_no_counter(scrape: Scraper) -> None:
    """Only what the page calls a counter, or what is one of ours, is taken for one."""
    text = f"{HEAD}# TYPE retrieval_shadow_inflight gauge\nretrieval_shadow_inflight 7\nretrieval_shadow_other 3\n"
    assert dict(Delta(snapshot(samples={}, started=1000.5), scrape(text)).counters("retrieval_shadow_")) == {}


def test_a_renamed_counter_without_total_is_read_under_the_design_s_name(scrape: Scraper) -> None:
    """Renaming and the ending go together."""
    text = f"{HEAD}# TYPE rag_requests counter\nrag_requests 7\n"
    assert scrape(text, retrieval_requests_total="rag_requests").total("retrieval_requests_total") == 7


@pytest.mark.parametrize(
    ("location", "said"), [("/metrics/all", "not followed, to /metrics/all,"), ("http://other/x", "not followed,")]
)
def test_a_page_that_has_moved_on_the_same_host_is_named(scrape: Scraper, location: str, said: str) -> None:
    """A redirect to another path is not followed, but said."""
    where = ScrapeSource(scrape.client, "/metrics", {})
    scrape.server.script["GET", "/metrics"] = Answer(b"", 307, headers={"Location": location})
    with pytest.raises(CannotMeasure, match="HTTP 307") as caught:
        where.snapshot(scrape.server.url)
    assert said in str(caught.value)
    assert "other" not in str(caught.value)


def test_a_line_that_cannot_be_read_is_named_by_its_number(scrape: Scraper) -> None:
    """The number of the line, and no word of it."""
    with pytest.raises(CannotMeasure, match=r"line 3: not a line of this format") as caught:
        scrape(f"{HEAD}hunter 2 is secret\n")
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        'a{b="c"} 1 # ',
        "a" + " " * 5,
        'a{b="' + "\\" * 6,
        'a{b="c",' * 3,
        "# TYPE a",
        "1" * 8,
        "a 1 " + "1" * 8,
        "a " + "\t" * 8,
        'a{b="c"' + " " * 8,
    ],
)
def test_the_time_to_refuse_a_page_grows_no_faster_than_the_page(line: str) -> None:
    """Ten times the page costs about ten times the time, whatever is repeated in it."""

    def cost(times: int) -> float:
        body = (line * times).encode()
        began = time.process_time()
        with suppress(Unreadable):
            read(body, openmetrics=False)
        return time.process_time() - began

    small, large = (min(cost(times) for _ in range(3)) for times in (5_000, 50_000))
    assert large < 40 * small + 0.02


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
@pytest.mark.parametrize("name", ["retrieval_errors_total", "retrieval_shadow_latency_seconds_count"])
def test_a_counter_that_is_no_number_cannot_be_measured(scrape: Scraper, name: str, value: str) -> None:
    with pytest.raises(CannotMeasure):
        scrape(f"{HEAD}{name} {value}\n")


def test_a_gauge_and_an_empty_summary_s_quantile_may_be_no_number(scrape: Scraper) -> None:
    text = f'{HEAD}# TYPE free gauge\nfree NaN\n# TYPE s summary\ns{{quantile="0.5"}} NaN\ns_sum 0\ns_count 0\n'
    assert {name for name, _ in scrape(text).samples} == {"process_start_time_seconds", "s_sum", "s_count"}


def test_html_errors_redirects_and_silence_cannot_be_measured(scrape: Scraper, client: HttpClient) -> None:
    source = ScrapeSource(client, "/metrics", {})
    for answer in (
        html(),
        Answer(b"", 302, headers={"Location": "/login"}),
        Answer(CLASSIC_TEXT.encode(), 500, CLASSIC),
    ):
        scrape.server.script["GET", "/metrics"] = answer
        with pytest.raises(CannotMeasure, match=r"\[service\] metrics_path"):
            source.snapshot(scrape.server.url)
    with pytest.raises(CannotMeasure, match="refused"):
        source.snapshot("http://127.0.0.1:1")


def test_no_word_of_a_wrong_body_is_repeated(scrape: Scraper) -> None:
    with pytest.raises(CannotMeasure) as caught:
        scrape("password=hunter2 is not\n")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("text", "kind"), FORMATS)
@pytest.mark.parametrize("own", ["rag_requests_total", "rag_requests"])
def test_a_renamed_counter_is_read_under_the_design_s_name(scrape: Scraper, text: str, kind: str, own: str) -> None:
    renamed = text.replace("retrieval_requests", "rag_requests")
    assert not scrape(renamed, kind).has("retrieval_requests_total")
    seen = scrape(renamed, kind, retrieval_requests_total=own)
    assert seen.has("retrieval_requests_total")
    assert seen.total("retrieval_requests_total") == 7
    assert not seen.has("rag_requests_total")


def test_a_renamed_histogram_and_gauge_are_read_under_the_design_s_name(scrape: Scraper) -> None:
    text = (
        f'{HEAD}# TYPE lat histogram\nlat_bucket{{le="+Inf"}} 3\nlat_sum 1\nlat_count 3\n'
        "# TYPE box gauge\nbox 4\n# TYPE lat_other counter\nlat_other_total 9\n"
    )
    seen = scrape(text, retrieval_latency_seconds="lat", retrieval_dual_write_outbox_size="box")
    assert seen.total("retrieval_latency_seconds_bucket") == 3
    assert seen.total("retrieval_latency_seconds_count") == 3
    assert seen.total("retrieval_latency_seconds_sum") == 1
    assert seen.total("retrieval_dual_write_outbox_size") == 4
    assert seen.total("lat_other_total") == 9
    assert (seen.has("retrieval_latency_seconds"), seen.has("retrieval_dual_write_outbox_size")) == (True, True)


def delta(before: dict[str, float], after: dict[str, float], *, restarted: bool = False) -> Delta:
    def at(samples: dict[str, float], started: float) -> Snapshot:
        return Snapshot(
            "i", started, {}, {key("process_start_time_seconds"): started} | {key(k): v for k, v in samples.items()}
        )

    return Delta(at(before, 1.0), at(after, 2.0 if restarted else 1.0))


def test_the_first_value_of_a_new_series_counts_whole() -> None:
    born = delta({"x_total{a=1}": 2}, {"x_total{a=1}": 2, "x_total{a=2}": 7})
    assert born.growth("x_total") == 7
    assert born.growth("x_total", a="2") == 7
    assert born.growth("x_total", a="1") == 0


def test_growth_is_the_difference() -> None:
    assert delta({"x_total": 2}, {"x_total": 5}).growth("x_total") == 3


def test_after_a_visible_reset_the_new_value_counts() -> None:
    assert delta({"x_total": 3}, {"x_total": 2}).growth("x_total") == 2
    assert delta({"x_total": 3}, {"x_total": 3}).growth("x_total") == 0


def test_after_a_hidden_reset_the_new_value_counts() -> None:
    hidden = delta({"x_total": 2}, {"x_total": 2}, restarted=True)
    assert hidden.restarted
    assert hidden.growth("x_total") == 2
    assert not delta({"x_total": 2}, {"x_total": 2}).restarted


def test_only_counters_count_each_once() -> None:
    after: dict[str, float] = {
        "retrieval_shadow_dropped_total{reason=a}": 1,
        "retrieval_shadow_dropped_total{reason=b}": 2,
        "retrieval_shadow_latency_seconds_count": 4,
        "retrieval_shadow_latency_seconds_sum": 8,
        "retrieval_shadow_latency_seconds_bucket{le=+Inf}": 4,
        "retrieval_shadow_enabled": 1,
        "retrieval_shadowless_total": 5,
        "other_total": 9,
    }
    assert dict(delta({}, after).counters("retrieval_shadow_")) == {
        "retrieval_shadow_dropped_total": 3,
        "retrieval_shadow_latency_seconds_count": 4,
    }


def test_labels_select_only_what_holds_them_all() -> None:
    seen = delta({}, {"x_total{a=1,b=1}": 1, "x_total{a=1,b=2}": 2, "x_total": 4, "y_total{a=1}": 8})
    assert seen.growth("x_total", a="1") == 3
    assert seen.growth("x_total", a="1", b="2") == 2
    assert seen.after.total("x_total", a="1") == 3
    assert [value for _, value in seen.after.select("x_total", b="1")] == [1]


def test_a_living_process_is_told_from_a_frozen_page() -> None:
    assert delta({"x_total": 1}, {"x_total": 1}).dead()
    assert not delta({"x_total": 1}, {"x_total": 2}).dead()
    assert delta({"x_total": 1}, {"x_total": 2}).seconds == 0

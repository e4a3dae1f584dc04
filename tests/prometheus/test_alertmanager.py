"""What Alertmanager adds to alerts: silenced, inhibited, or nothing that could be learnt; and never a verdict."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from drill.checks.alerts import alerts
from drill.errors import CannotMeasure
from drill.metrics.alertmanager import LIST, Alertmanager
from drill.metrics.prometheus import PrometheusClient
from drill.record import Evidence
from drill.verdict import Verdict
from tests.library.server import Answer, ScriptedService, as_json, html, scripted
from tests.library.world import make_drill, reading
from tests.prometheus.test_alerts import TOML, Fake, settled_at

SLOW = frozenset({("alertname", "Slow"), ("node", "a"), ("severity", "page")})


@pytest.fixture
def server() -> Iterator[ScriptedService]:
    with scripted() as server:
        yield server


@pytest.fixture
def alertmanager(server: ScriptedService) -> Iterator[Alertmanager]:
    client = Alertmanager(server.url + "/", token="t0p-s3cret")
    yield client
    client.close()


def routed(*, silenced: bool = False, inhibited: bool = False, **labels: str) -> dict[str, Any]:
    status = {
        "state": "suppressed" if silenced or inhibited else "active",
        "silencedBy": ["s"] * silenced,
        "inhibitedBy": ["i"] * inhibited,
    }
    return {"labels": {**dict(SLOW), **labels}, "status": status}


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ([routed()], None),
        ([], None),
        ([routed(silenced=True)], "silenced"),
        ([routed(inhibited=True)], "inhibited"),
        ([routed(silenced=True, inhibited=True)], "silenced and inhibited"),
        ([routed(silenced=True, cluster="eu")], "silenced"),
        ([routed(silenced=True, node="b")], None),
        ([routed(), routed(silenced=True, cluster="eu")], "silenced"),
    ],
)
def test_an_alert_is_found_by_its_labels_whatever_was_added_to_them(
    server: ScriptedService, alertmanager: Alertmanager, given: list[object], note: str | None
) -> None:
    server.script["GET", LIST] = as_json(given)
    assert alertmanager.notes([SLOW]).get(SLOW) == note
    assert server.headers[0]["authorization"] == "Bearer t0p-s3cret"


@pytest.mark.parametrize(
    "given", [html(), as_json({}, 401), as_json({}), as_json([{}]), as_json([{"labels": {}, "status": {}}]), Answer()]
)
def test_whatever_is_no_list_of_alerts_is_one_line(
    server: ScriptedService, alertmanager: Alertmanager, given: Answer
) -> None:
    server.script["GET", LIST] = given
    with pytest.raises(CannotMeasure) as caught:
        alertmanager.notes([SLOW])
    assert "\n" not in str(caught.value)
    assert "t0p-s3cret" not in str(caught.value)


def judge(folder: Path, server: ScriptedService, fake: Fake) -> Evidence:
    drill = make_drill(folder, toml=f"{TOML}alertmanager_url = {json.dumps(server.url)}\n")
    drill.__dict__["prometheus"] = cast("PrometheusClient", fake)
    now = time.monotonic()
    drill.before = reading(now - 40)
    evidence = alerts(drill, settled_at(now - 20))
    assert drill.alertmanager is not None
    drill.alertmanager.close()
    return evidence


@pytest.mark.parametrize(("how", "note"), [({"silenced": True}, "silenced"), ({"inhibited": True}, "inhibited")])
def test_an_alert_that_nobody_hears_of_fails_all_the_same(
    tmp_path: Path, server: ScriptedService, how: dict[str, Any], note: str
) -> None:
    server.script["GET", LIST] = as_json([routed(**how)])
    evidence = judge(tmp_path, server, Fake(fired=["Slow"], last={"firing": ["Slow"]}))
    assert (evidence.verdict, evidence.reason) == (Verdict.FAIL, f"began to fire: Slow ({note})")
    assert evidence.detail[f"{note} in Alertmanager"] == "Slow"


def test_a_silenced_alert_that_fired_before_is_shown_and_is_no_failure(tmp_path: Path, server: ScriptedService) -> None:
    server.script["GET", LIST] = as_json([routed(silenced=True)])
    fake = Fake(before={"firing": ["Slow"]}, fired=["Slow"], last={"firing": ["Slow"]})
    evidence = judge(tmp_path, server, fake)
    assert evidence.verdict is Verdict.PASS
    assert evidence.detail["silenced in Alertmanager"] == "Slow"


@pytest.mark.parametrize(("fired", "verdict"), [((), Verdict.PASS), (("Slow",), Verdict.FAIL)])
def test_an_alertmanager_that_does_not_answer_is_a_note(
    tmp_path: Path, server: ScriptedService, fired: tuple[str, ...], verdict: Verdict
) -> None:
    server.script["GET", LIST] = html(502)
    evidence = judge(tmp_path, server, Fake(fired=fired))
    assert evidence.verdict is verdict
    assert "HTTP 502" in str(evidence.detail["silences are not known"])

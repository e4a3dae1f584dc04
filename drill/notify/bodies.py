"""The bodies that receivers are sent: a Slack-compatible message, and Grafana's annotations."""

from datetime import datetime
from html import escape

from drill.notify.message import Json, fields, milliseconds, mode, sentence
from drill.record import DrillRecord

GRAFANA_PATH = "/api/annotations"
"""https://grafana.com/docs/grafana/latest/developers/http_api/annotations/: one organisation annotation per POST."""
GRAFANA_TAG = "rollback-drill"


def webhook_body(record: DrillRecord, exit_code: int) -> Json:
    """Return ``text``, which Slack and those who copy it show, and the drill's fields for everybody else."""
    return {"text": _slack(sentence(record, exit_code)), **fields(record, exit_code)}


def _slack(text: str) -> str:
    """Escape the three characters that Slack gives a meaning: ``<!channel>`` in a reason must call nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def grafana_bodies(record: DrillRecord, exit_code: int, safe: datetime | None, end: datetime) -> list[Json]:
    """Return an annotation each for start, safe (if it came to that) and end, with the times at which they were."""
    what = f"Rollback drill ({mode(record)}) of {record.env_file}"
    notes = [(record.started, "start", f"{what} by {record.operator} begins")]
    if safe is not None:
        notes.append((safe, "safe", f"{what}: FAISS-only is proven"))
    notes.append((end, "end", sentence(record, exit_code)))
    common = [GRAFANA_TAG, mode(record), record.env_file]
    return [
        {"time": milliseconds(at), "tags": [*common, kind, *_result(record, kind)], "text": escape(text)}
        for at, kind, text in notes
    ]


def _result(record: DrillRecord, kind: str) -> list[str]:
    return [str(record.result)] if kind == "end" else []

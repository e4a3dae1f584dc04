"""Requests that change a document through the service's own doors, with bodies of its own shape."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from drill.context import Drill
from drill.http import Reply


@dataclass(frozen=True, slots=True)
class Letters:
    """Sends what the configuration says, with tenant, id and text filled in."""

    drill: Drill

    def send(
        self, method: str, url: str, path: str, body: Mapping[str, object], tenant: str, name: str, text: str = ""
    ) -> Reply:
        """Send one request on a new connection: behind one address another process may answer."""
        where = filled(path, tenant=quote(tenant, safe=""), id=quote(name, safe=""))
        content = json.dumps(filled(dict(body), tenant=tenant, id=name, text=text)).encode() if body else None
        kind = {"Content-Type": "application/json"} if body else {}
        return self.drill.client.request(
            method, f"{url}{where}", content=content, headers={"Connection": "close", **kind}
        )


def filled(template: object, **values: str) -> object:
    """Return a template with its ``{tenant}``, ``{id}`` and ``{text}`` filled in, at any depth."""
    if isinstance(template, dict):
        return {key: filled(value, **values) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, **values) for value in template]
    if isinstance(template, str):
        for name, value in values.items():
            template = template.replace(f"{{{name}}}", value)
    return template

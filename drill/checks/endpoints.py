"""Whether an instance serves the configured paths, found out with the least harm.

Only 404 or 410 to the configured method says that an endpoint is not there: to OPTIONS a server may answer what it
likes. Search and embed are read-only, so a dry-run asks them for real. With ``--apply`` the service is still sick and
users wait for the reload, and a chat may cost money: OPTIONS comes first there, and the real request only where the
answer to OPTIONS leaves a doubt.
"""

import codecs
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from drill.checks.silence import short
from drill.context import Drill
from drill.http import Reply

GONE = {404, 410}
THERE, WRONG_METHOD = 200, 405
TEXT = "rollback drill"
_VARIES = re.compile(rb"[0-9a-f-]{8,}|[0-9]+", re.IGNORECASE)
"""What differs between two answers of one kind: ids, times."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path of the configuration, and the key that names it."""

    key: str
    path: str
    read_only: bool

    def __str__(self) -> str:
        """Return it as it is shown."""
        return f"{self.path} ([service] {self.key})"


def configured(drill: Drill) -> list[Endpoint]:
    """Return the endpoints that users ask."""
    return [one for key in ("search_path", "embed_path", "chat_path") if (one := named(drill, key)).path]


def named(drill: Drill, key: str) -> Endpoint:
    """Return the endpoint of ``key``."""
    return Endpoint(key, getattr(drill.config.service, key), read_only=key != "chat_path")


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found out about the endpoints of some instances."""

    problems: dict[str, str]
    """Instance -> what is wrong with its endpoints, of those where something is."""
    silent: list[str]
    """Endpoints that gave no answer: of a sick service that is no news, and shows nothing."""
    apart: list[Reply] = field(default_factory=list)
    """Answers that say nothing of the service, because it limits the drill."""


def look(drill: Drill, instances: Iterable[str]) -> Looked:
    """Find out which of ``instances`` serve what is configured."""
    absent: dict[str, list[Endpoint]] = {}
    wrong: dict[str, str] = {}
    silent: list[str] = []
    apart: list[Reply] = []
    for instance in instances:
        for endpoint in configured(drill):
            reply = _ask(drill, instance, endpoint)
            if reply.apart:
                apart.append(reply)
            elif reply.error:
                silent.append(f"{short(instance)}{endpoint.path}")
            elif reply.status == WRONG_METHOD:
                wrong[instance] = f"{short(instance)} does not take POST at {endpoint}: seen {reply.seen()}"
            elif reply.status in GONE and as_nowhere(drill, instance, endpoint.path, reply):
                absent.setdefault(instance, []).append(endpoint)
            if reply.dead:
                break
    return Looked({**_not_served(absent), **wrong}, silent, apart)


def _ask(drill: Drill, instance: str, endpoint: Endpoint) -> Reply:
    """Return the answer that tells whether an endpoint is there: any but 404, 405 and 410 says nothing against it."""
    if drill.apply or not endpoint.read_only:
        seen = drill.client.request("OPTIONS", instance + endpoint.path)
        if seen.dead or not (seen.error or seen.apart or seen.status in GONE):
            return replace(seen, status=THERE) if seen.status == WRONG_METHOD else seen
    return really_ask(drill, instance, endpoint)


def really_ask(drill: Drill, instance: str, endpoint: Endpoint) -> Reply:
    """Send an endpoint the request that users send."""
    service = drill.config.service
    if endpoint.key == "search_path":
        tenant, query = drill.queries[0]
        return drill.service.search(instance, query, tenant, drill.config.smoke.top_k)
    body: object = {"texts": [TEXT]} if endpoint.key == "embed_path" else service.chat_body
    return drill.client.post(instance + endpoint.path, body)


def as_nowhere(drill: Drill, instance: str, path: str, reply: Reply) -> bool:
    """Whether ``reply`` is what a path gets that cannot be there: a router's answer, not that of an endpoint.

    An endpoint, too, may answer 404: to a tenant that it does not know, for a collection that the target has lost.
    """
    before, _, last = path.rpartition("/")
    elsewhere = f"{before}/{codecs.encode(last, 'rot13')}"  # as long, so that an answer which repeats it is as long
    if elsewhere == path:
        return True
    control = drill.client.post(instance + elsewhere, {})
    return control.status == reply.status and _kind(control, elsewhere) == _kind(reply, path)


def _kind(reply: Reply, path: str) -> tuple[str, bytes]:
    return reply.content_type, _VARIES.sub(b"", reply.body.replace(path.encode(), b""))


def _not_served(absent: Mapping[str, list[Endpoint]]) -> dict[str, str]:
    """Say it once for all instances that miss the same paths."""
    together: dict[str, list[str]] = {}
    for instance, endpoints in absent.items():
        together.setdefault(", ".join(map(str, endpoints)), []).append(instance)
    said: dict[str, str] = {}
    for paths, instances in together.items():
        names = ", ".join(map(short, instances))
        verb = "are healthy and do not serve" if len(instances) > 1 else "is healthy and does not serve"
        text = f"{names} {verb} {paths}: mount the router, or name the paths that are served in these keys"
        said |= dict.fromkeys(instances, text)
    return said

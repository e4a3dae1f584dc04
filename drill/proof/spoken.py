"""What each process says of its own flags: ``[service] flags_path``, mapped by ``[service] flags``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from drill.checks.silence import short
from drill.checks.unknown_names import is_it_faiss, may_be_faiss
from drill.context import Drill
from drill.metrics.workers import AT_ONCE
from drill.proof.flags import Flag
from drill.proof.sent import BALANCED, WORKERS
from drill.proof.shared import UNKNOWN, enough
from drill.service import each

_OFF = frozenset({"off", "false", "0", "no", "disabled", "none"})
_ON = frozenset({"on", "true", "1", "yes", "enabled"})


@dataclass(frozen=True, slots=True)
class Spoken:
    """The answer of one instance."""

    rolled_back: Mapping[Flag, bool] = field(default_factory=dict)
    """Flag -> whether its value is that of the rollback; flags that it says nothing of are left out."""
    problem: str = ""


def ask(drill: Drill, *, times: int = 0, workers: int = 0) -> dict[str, Spoken]:
    """Ask every instance for its flags; nothing where no ``flags_path`` is configured.

    Each is asked ``times`` times, by default as often as it takes to meet workers that share a port: so many, if known.
    """
    service = drill.config.service
    if not service.flags_path:
        return {}
    instances = list(drill.service.instances)
    often = times or (WORKERS if service.instances else BALANCED)
    if service.worker_id and not times:
        often = max(often, enough(workers or UNKNOWN))
    return dict(zip(instances, each(lambda url: _ask(drill, url, often), instances), strict=True))


def _ask(drill: Drill, url: str, times: int) -> Spoken:
    """Ask one address several times, on new connections: workers may share it, and each has flags of its own.

    Some are asked at once: one idle worker may take all that come one by one.
    """
    starts = range(0, times, AT_ONCE)
    asked = [one for at in starts for one in each(lambda _: _once(drill, url), range(at, min(at + AT_ONCE, times)))]
    told = {flag: all(words) for flag in Flag if (words := _words(asked, flag))}
    return Spoken(told, next((one.problem for one in asked if one.problem), ""))


def _words(asked: list[Spoken], flag: Flag) -> list[bool]:
    """Return what all answers say of a flag; nothing where one of them is missing and none contradicts."""
    words = [one.rolled_back[flag] for one in asked if flag in one.rolled_back]
    return words if len(words) == len(asked) or not all(words) else []


def _once(drill: Drill, url: str) -> Spoken:
    service = drill.config.service
    reply = drill.client.get(url + service.flags_path, fresh=True)
    said = reply.json()
    if said is None:
        return Spoken(problem=f"{short(url)}{service.flags_path}: {reply.seen()}, expected JSON")
    values = {flag: _said_of(said, flag, service.flags.get(flag, "")) for flag in Flag}
    values[Flag.BACKEND], strange = _backend(drill, values[Flag.BACKEND])
    told = {flag: back for flag, value in values.items() if (back := rolled_back(flag, value)) is not None}
    missing = [str(flag) for flag in Flag if flag not in told]
    problem = f"{short(url)}{service.flags_path} says nothing of {', '.join(missing)}" if missing else ""
    return Spoken(told, "; ".join(filter(None, (problem, strange))))


def _backend(drill: Drill, value: object) -> tuple[object, str]:
    """Return a backend by the drill's name for it; one that nobody here knows may be FAISS, and says nothing."""
    name = value.strip() if isinstance(value, str) else ""
    if name.lower() == drill.config.metrics.values.faiss.lower():
        return Flag.BACKEND.rolled_back, ""
    return (None, is_it_faiss(name)) if may_be_faiss(drill, name) else (value, "")


def _said_of(said: object, flag: Flag, path: str) -> object:
    """Return what stands at ``path``; where none is configured, under the flag's name here or in the env file."""
    if path:
        return _value(said, path)
    return next((value for name in (flag, flag.key) if (value := _value(said, name)) is not None), None)


def _value(said: object, path: str) -> object:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.search(path, said)
    except JMESPathError:
        return None  # a path that does not fit this answer


def rolled_back(flag: Flag, value: object) -> bool | None:
    """Return whether ``value`` is that of the rollback; None if it is neither that nor another known value."""
    text = str(value).strip().lower() if isinstance(value, bool | int | float | str) else ""
    if flag is Flag.BACKEND:
        return text == "faiss" if text and isinstance(value, str) else None
    if text in {"0.0", *_OFF}:
        return True
    return False if text in {"1.0", *_ON} else None

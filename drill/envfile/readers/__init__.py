"""Who reads the file differently: models of the 14 readers an env file commonly meets.

Each model is a function from the file's bytes to the variables that reader would hand on. They are written from the
readers' documented grammar and held against what the real ones were observed to see (the sidecars of the corpus);
python-dotenv itself is not among them, because an edit is proved with the real one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drill.envfile.readers.base import Unreadable, is_plain

MAX_MODELLED = 128 * 1024
"""Bytes above which a file is not read as the others would: the models go character by character."""


@dataclass(frozen=True, slots=True)
class Misreading:
    """Readers that miss the wanted values in the same way, and what they see instead."""

    readers: tuple[str, ...]
    text: str


def misreadings(data: bytes, wanted: Mapping[str, str]) -> tuple[Misreading, ...]:
    """Return the readers that will not see ``wanted`` in ``data``, grouped by what happens to them."""
    if is_plain(data):
        return ()
    if len(data) > MAX_MODELLED:
        names = tuple(_models())
        return (Misreading(names, f"with {len(data)} bytes it was not tried whether {', '.join(names)} read the same"),)
    groups: dict[str, list[str]] = {}
    for name, read in _models().items():
        seen = _seen(read, data, wanted)
        if seen:
            groups.setdefault(seen, []).append(name)
    return tuple(Misreading(tuple(names), f"{', '.join(names)} {seen}") for seen, names in groups.items())


def _seen(read: Callable[[bytes], dict[str, str]], data: bytes, wanted: Mapping[str, str]) -> str:
    """Say what the reader sees instead of ``wanted``; empty if it sees just that."""
    try:
        values = read(data)
    except Unreadable:
        return "cannot read this file at all"
    absent = [key for key in wanted if key not in values]
    other = [key for key, value in wanted.items() if key in values and values[key] != value]
    parts = []
    if absent:
        parts.append(f"will not see {', '.join(absent)}")
    if other:
        parts.append(f"will read another value for {', '.join(other)}")
    return " and ".join(parts)


def _models() -> dict[str, Callable[[bytes], dict[str, str]]]:
    from drill.envfile.readers import golang, lines, nodejs, python, ruby, shell, systemd

    return {
        "pydantic-settings": python.pydantic_settings,
        "honcho": python.honcho,
        "foreman": ruby.foreman,
        "ruby-dotenv": ruby.ruby_dotenv,
        "node-dotenv": nodejs.node_dotenv,
        "node-native": nodejs.node_native,
        "compose-go": golang.compose_go,
        "godotenv": golang.godotenv,
        "docker-run": lines.docker_run,
        "kubectl": lines.kubectl,
        "systemd": systemd.systemd,
        "bash": shell.bash,
        "dash": shell.dash,
    }

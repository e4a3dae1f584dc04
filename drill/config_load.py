"""Reading a configuration: process environment, env file, ``drill.toml``, the service's own names, defaults.

Precedence, highest first (DESIGN.md section 5): ``DRILL_<SECTION>__<KEY>`` of the process environment, the same names
in the env file, ``drill.toml``, the service's own names in the env file, the defaults of ``drill.config``.
"""

import json
import os
import stat
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from drill.config import Config, Query, Target
from drill.config_check import check
from drill.config_defaults import Defaults, Tables, Values, kind_called
from drill.errors import UsageError
from drill.target.settings import KINDS, all_keys, keys_of, kinds_with
from drill.whose import objection

MAX_CHARS = 1024 * 1024
"""Larger than any ``drill.toml``."""


def find_config(option: Path | None, env_file: Path, root: Path) -> Path | None:
    """Return the configuration file to read: the option, else beside the env file, else in the project's root."""
    if option is not None:
        if not option.exists():
            raise UsageError(
                f"--drill-config {option}: no such file; name an existing drill.toml or leave the option out"
            )
        return option
    beside = (env_file.parent / "drill.toml", root / "drill.toml")
    return next((path for path in beside if path.exists() or path.is_symlink()), None)


def load_config(path: Path | None, env_file: Path, env_values: Values, environ: Mapping[str, str]) -> Config:
    """Read and check a configuration; every mistake is a `UsageError` that names the key."""
    tables = _read_toml(path)
    _refuse_commands(env_values, env_file.name)
    for source in (env_values, environ):
        _override(tables, source)
    _check_kind(tables.get("target", {}).get("kind", ""))
    defaults = Defaults(tables, env_values, env_file)
    config = replace(_build_config(tables, path), taken=defaults.taken, unusable=defaults.unusable)
    check(config)
    return config


def _check_kind(kind: object) -> None:
    """Check the kind of target that was written down for the drill."""
    if kind and isinstance(kind, str) and kind not in KINDS:
        meant = f"; probably {called!r}" if (called := kind_called(kind)) else ""
        raise UsageError(f"[target] kind: seen {kind!r}, expected one of {', '.join(KINDS)}{meant}")


def _refuse_commands(env_values: Values, name: str) -> None:
    """Refuse a command that the service's env file names: who configures the service is not who runs the drill."""
    for key in env_values:
        if key.startswith("DRILL_") and "__" in key and key.lower().endswith("command"):
            raise UsageError(
                f"{key}: seen in {name}, expected in drill.toml or the process environment: a command is never taken "
                "from the service's env file; move it"
            )


def _text_of(path: Path) -> str:
    """Return the text of a file that may be obeyed. Raises `UsageError` for one that others could have written."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, encoding="utf-8-sig") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path.name}: is not a regular file; expected a drill.toml; check --drill-config")
        if (found := objection(path, status)) is not None:
            raise UsageError(f"{path.name}: may not be obeyed: {found}")
        return file.read(MAX_CHARS + 1)


def _read_toml(path: Path | None) -> Tables:
    if path is None:
        return {}
    try:
        text = _text_of(path)
        data = tomllib.loads(text) if len(text) <= MAX_CHARS else {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name}: cannot be read ({type(error).__name__}); expected a UTF-8 TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path.name}: not valid TOML: {error}; correct that line") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        raise UsageError(f"{path.name}: cannot be meant ({type(error).__name__}); expected a drill.toml") from None
    if len(text) > MAX_CHARS:
        raise UsageError(f"{path.name}: more than {MAX_CHARS} characters; expected a drill.toml; check --drill-config")
    for section, table in data.items():
        if not isinstance(table, dict):
            raise UsageError(f"{path.name}: unknown key {section!r}; expected sections {', '.join(_sections())}")
    for section, key in (("primary", "path"), ("service", "ca_file"), ("target", "ca_file")):
        if (name := data.get(section, {}).get(key)) and isinstance(name, str):
            data[section][key] = str(path.parent / name)
    return data


def _override(tables: Tables, source: Values) -> None:
    sections = _sections()
    for name, value in source.items():
        if not name.startswith("DRILL_") or "__" not in name or value is None:
            continue
        section, _, key = name.removeprefix("DRILL_").lower().partition("__")
        hints = all_keys() if section == "target" else _hints(sections[section]) if section in sections else {}
        kind = hints.get(key)
        if kind is None:
            raise UsageError(f"{name}: unknown setting; expected DRILL_<SECTION>__<KEY> with names of drill.toml")
        tables.setdefault(section, {})[key] = _from_text(name, value, kind)


def _from_text(name: str, text: str, kind: Any) -> Any:
    readers: dict[Any, Callable[[str], Any]] = {str: str, int: int, float: float}
    try:
        return readers[kind](text) if kind in readers else json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(
            f"{name}: cannot be read as {_type_name(kind)}; lists and tables are written as JSON"
        ) from None


def _build_config(tables: Tables, path: Path | None) -> Config:
    sections = _sections()
    where = path.name if path else "configuration"
    for section in tables:
        if section not in sections:
            raise UsageError(f"{where}: unknown section [{section}]; expected one of {', '.join(sections)}")
    sections["target"] = keys_of(tables.get("target", {}).get("kind", ""))
    built = {name: _build(kind, tables.get(name, {}), f"{where}: [{name}]") for name, kind in sections.items()}
    return Config(**built, source=path)


def _build(kind: type[Any], table: Mapping[str, Any], where: str) -> Any:
    hints = _hints(kind)
    for key in table:
        if key not in hints:
            others = kinds_with(key) if issubclass(kind, Target) else []
            of = f" of kind {', '.join(others)}, not of {table.get('kind', 'none')}" if others else ""
            raise UsageError(f"{where} unknown key {key!r}{of}; expected one of {', '.join(hints)}")
    try:
        return kind(**{key: _convert(value, hints[key], f"{where} {key}") for key, value in table.items()})
    except TypeError:
        missing = [f.name for f in fields(kind) if f.name not in table]
        raise UsageError(f"{where} misses a key; expected {', '.join(missing)}") from None


def _convert(value: Any, kind: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(value, dict):
        return _build(kind, value, where) if isinstance(kind, type) else value
    if get_origin(kind) is list and isinstance(value, list):
        return [_convert(item, get_args(kind)[0], f"{where}[{index}]") for index, item in enumerate(value)]
    if get_origin(kind) is dict and isinstance(value, dict):
        return {key: _convert(item, get_args(kind)[1], f"{where}.{key}") for key, item in value.items()}
    if kind is float and type(value) in {int, float} and abs(value) <= sys.float_info.max:
        return float(value)
    if kind is object or (isinstance(kind, type) and type(value) is kind and kind is not float):
        return value
    raise UsageError(f"{where}: seen {_seen(value)}, expected {_type_name(kind)}")


def _sections() -> dict[str, Any]:
    return {name: kind for name, kind in _hints(Config).items() if is_dataclass(kind)}


def _hints(kind: Any) -> dict[str, Any]:
    return {name: value for name, value in get_type_hints(kind).items() if get_origin(value) is not ClassVar}


def _type_name(kind: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Query: "a table"}
    if get_origin(kind) is list:
        return f"a list of which each item is {_type_name(get_args(kind)[0])}"
    return names.get(kind, "a table")


def _seen(value: Any) -> str:
    names = {
        str: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), type(value).__name__)

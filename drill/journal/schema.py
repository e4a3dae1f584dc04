"""The JSON Schema of a journal line, and what is wrong with a line by it."""

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one line."""
    loaded: dict[str, Any] = json.loads(files("drill.journal").joinpath("schema.json").read_text("utf-8"))
    return loaded


@cache
def _validator() -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def schema_errors(entry: object) -> list[str]:
    """Return what is wrong with a parsed line, one short text per error; empty if it is valid."""
    errors = sorted(_validator().iter_errors(entry), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'.'.join(map(str, error.absolute_path)) or 'line'}: {error.message[:200]}" for error in errors]

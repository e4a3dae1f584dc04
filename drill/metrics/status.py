"""The HTTP status of a sample, whatever its label is called."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"(^|_)(status|code)(_?code)?$|^statuscode$", re.IGNORECASE)
"""Such as ``status``, ``code``, ``status_code``, ``http_status``, ``http_response_status_code``."""
_VALUE = re.compile(r"[1-5](\d\d|xx)", re.IGNORECASE)


def said(labels: Mapping[str, str]) -> list[str]:
    """Return the texts of all labels that are called like a status."""
    return [text for name, text in labels.items() if _NAME.search(name)]


def status_of(labels: Mapping[str, str]) -> str:
    """Return the status (``503``) or its class (``5xx``), the worst where there are several; empty if there is none."""
    return max((text for text in said(labels) if _VALUE.fullmatch(text)), default="")

"""A metrics page as Prometheus reads it: line by line, each line for itself.

The parsers of prometheus_client are no measure of that. The one for the classic format takes broken lines for good
ones; the one for OpenMetrics refuses pages that Prometheus reads every day, with a long exemplar or a counter without
``_total``. The two grammars here are those of Prometheus' own lexers (``model/textparse``). Where they are stricter, a
page is refused with its line, never read otherwise: a series that stands twice with different values is one such page,
for Prometheus keeps one of the two and drops the other without a word.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from drill.metrics.names import base, implied
from drill.metrics.snapshot import Key

COUNTS = ("_total", "_count", "_bucket")
"""Ends of the names of what is counted, which is never NaN; a gauge or the quantile of an empty summary may be."""
SHOWN = 200
"""Characters of a series that are repeated."""

_NAME, _LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*+", r"[a-zA-Z_][a-zA-Z0-9_]*+"
_TEXT = r'"(?:[^\\"\n\udc80-\udcff]|\\.)*+"'
_LONG_TEXT = r'"(?:[^\\"\udc80-\udcff]|\\.)*+"'  # the classic format lets a line feed stand in it as it is
_W = r"[ \t]*+"
_CLASSIC = re.compile(
    rf"(?:(?P<name>{_NAME}){_W}"
    rf"(?:\{{{_W}(?P<labels>(?:{_LABEL}{_W}={_W}{_LONG_TEXT}{_W}(?:,{_W}|(?=\}})))*+)\}}{_W})?"
    rf"(?P<value>[^{{ \t\n]++)(?:[ \t]++(?P<stamp>[0-9]++))?{_W}"
    rf"|{_W}#[ \t]++(?P<meta>HELP|TYPE)[ \t]++(?P<family>{_NAME})(?P<text>[^\n]*+)"
    rf"|{_W}(?:#(?![ \t]++(?:HELP|TYPE)[ \t])[^\n]*+)?)\n"
)
_PAIRS = rf"{_LABEL}={_TEXT}(?:,{_LABEL}={_TEXT})*+"
_OPENMETRICS = re.compile(
    rf"(?P<name>{_NAME})(?:\{{(?P<labels>{_PAIRS})?\}})? (?P<value>[^ \n]++)"
    r"(?: (?!# \{)(?P<stamp>[^ \n]++))?"
    rf"(?: # \{{(?:{_PAIRS})?\}} (?P<example>[^ \n]++)(?: (?P<when>[^ \n]++))?)?\n"
    rf"|# (?P<meta>HELP|TYPE|UNIT) (?P<family>{_NAME})(?P<text> [^\n]*+)\n"
)
_PAIR = re.compile(rf"({_LABEL}){_W}={_W}({_LONG_TEXT})")
_ESCAPED = re.compile(r'\\([\\"n])')
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?)|nan", re.IGNORECASE)
_TYPES = {
    False: {"counter", "gauge", "histogram", "summary", "untyped"},
    True: {"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"},
}
_EXEMPLARY = ("_total", "_bucket")
_GREATEST_STAMP = str(2**63 - 1)


class Unreadable(ValueError):  # noqa: N818 - what the page is
    """Prometheus would not read this page, or not all of it; the text names the line."""


class Repeated(Unreadable):
    """One series stands on the page twice with different values: nobody can say which one is meant."""


@dataclass
class Exposition:
    """What stands on a page."""

    families: dict[str, str] = field(default_factory=dict)
    """Family without ``_total`` -> type; also what only a sample implies."""
    counters: set[str] = field(default_factory=set)
    """Families that are called counters, as the page calls them."""
    samples: dict[Key, float] = field(default_factory=dict)
    """Without those that are no number, and without the times of ``_created``. A label without a text is none."""


def read(body: bytes, *, openmetrics: bool) -> Exposition:
    """Read a page in one pass. Raises `Unreadable` and `Repeated`, whose texts repeat names and labels at most."""
    text = body.decode("utf-8", "surrogateescape")
    if "\0" in text:
        raise Unreadable(f"line {_line(text, text.index(chr(0)))}: a NUL byte, which ends the page for Prometheus")
    if openmetrics:
        whole = text.removesuffix("\n")
        text = whole.removesuffix("# EOF")
        if text == whole or (text and not text.endswith("\n")):
            raise Unreadable("it does not end with # EOF: cut off, or not OpenMetrics")
    else:
        text += "\n"
    found = Exposition()
    for match in _matches(_OPENMETRICS if openmetrics else _CLASSIC, text):
        try:
            if match["name"]:
                _sample(found, match, openmetrics=openmetrics)
            elif match["meta"]:
                _meta(found, match, openmetrics=openmetrics)
        except Unreadable as problem:
            raise type(problem)(f"line {_line(text, match.start())}: {problem}") from None
    return _judged(found)


def _matches(grammar: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    place = 0
    while place < len(text):
        match = grammar.match(text, place)
        if match is None:
            raise Unreadable(f'line {_line(text, place)}: not a line of this format, such as name{{label="text"}} 1')
        yield match
        place = match.end()


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _meta(found: Exposition, match: re.Match[str], *, openmetrics: bool) -> None:
    name, text, kind = base(match["family"]), match["text"][1:], "unknown"
    if match["meta"] == "TYPE":
        if text not in _TYPES[openmetrics]:
            raise Unreadable(f"the type of {name} is none that Prometheus knows")
        kind = text
        (found.counters.add if kind == "counter" else found.counters.discard)(match["family"])
    elif match["meta"] == "UNIT" and text and not match["family"].endswith(f"_{text}"):
        raise Unreadable(f"the unit of {name} is not the end of its name")
    elif match["meta"] == "HELP" and not _is_utf8(text):
        raise Unreadable(f"the help of {name} is not UTF-8")
    if kind != "unknown" or name not in found.families:
        found.families[name] = kind


def _sample(found: Exposition, match: re.Match[str], *, openmetrics: bool) -> None:
    name, value = match["name"], _number(match["value"])
    if openmetrics:
        _check_extras(match)
    elif match["stamp"] and _is_too_great(match["stamp"]):
        raise Unreadable("a time that is too great")
    labels = _labels(match["labels"]) if match["labels"] else frozenset()
    if name.endswith("_created"):
        return
    key = name, labels
    earlier = found.samples.setdefault(key, value)
    if earlier != value and not (math.isnan(earlier) and math.isnan(value)):
        raise Repeated(
            f"{_shown(key)} stands here again, with another value ({earlier:g} and {value:g}): "
            "one series, two numbers, and Prometheus keeps one of them"
        )


def _is_too_great(stamp: str) -> bool:
    """Whether Go's 64 bits do not hold this time. Digits of one length compare as their numbers do."""
    digits = stamp.lstrip("0")
    return (len(digits), digits) > (len(_GREATEST_STAMP), _GREATEST_STAMP)


def _check_extras(match: re.Match[str]) -> None:
    if match["example"]:
        _number(match["example"])
        if not match["name"].endswith(_EXEMPLARY):
            raise Unreadable("an exemplar of what is neither a counter nor a bucket")
    for stamp in filter(None, (match["stamp"], match["when"])):
        if not math.isfinite(_number(stamp)):
            raise Unreadable("a time that is no number")


def _number(text: str) -> float:
    """Return what Go makes of ``text``: no underscores, no hexadecimal, and too great is an error, not infinite."""
    if not _NUMBER.fullmatch(text):
        raise Unreadable("a value that is no number")
    value = float(text)
    if math.isinf(value) and "inf" not in text.lower():
        raise Unreadable("a value that is too great")
    return value


def _labels(text: str) -> frozenset[tuple[str, str]]:
    pairs = [(name, quoted[1:-1]) for name, quoted in _PAIR.findall(text)]
    if len({name for name, _ in pairs}) < len(pairs) or any(name == "__name__" for name, _ in pairs):
        raise Unreadable("a label that stands twice in one series")
    if "\\" in text:
        pairs = [(name, _ESCAPED.sub(_meant, value)) for name, value in pairs]
    return frozenset(pair for pair in pairs if pair[1])


def _meant(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]


def _shown(key: Key) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(key[1]))
    return (f"{key[0]}{{{labels}}}" if labels else key[0])[:SHOWN]


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= char <= "\udcff" for char in text)


def _judged(found: Exposition) -> Exposition:
    """Add the families that samples imply, and leave out what is no number. Raises `Unreadable`."""
    if not found.samples:
        raise Unreadable("no samples at all")
    for key, value in [pair for pair in found.samples.items() if not math.isfinite(pair[1])]:
        if key[0].endswith(COUNTS) and found.families.get(base(key[0])) != "gauge":
            raise Unreadable(f"{_shown(key)} is counted, and is not a number")
        if math.isnan(value):
            del found.samples[key]
    for name in {key[0] for key in found.samples}:
        for family in implied(name):
            found.families.setdefault(family, "unknown")
    return found


def is_openmetrics(content_type: str) -> bool:
    """Whether a content type says OpenMetrics; with any other, or none, Prometheus reads the classic format."""
    return content_type.partition(";")[0].strip().lower() == "application/openmetrics-text"

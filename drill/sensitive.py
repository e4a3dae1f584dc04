"""Does a free text look like personal data or a secret? Built to let tickets, times, versions and limits pass.

A heuristic for texts typed by people who mean well: it stops what slips in, not who tries to smuggle. Dates and times
are blanked before numbers are looked at, because phone patterns would take them for numbers to call. Compiling all
patterns takes 6 ms, which an operator in an incident would wait for: each is compiled only when a text is worth it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

_TIMES = r"""(?x)(?<![\d+])(?:
      (?:19|20)\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])              # 2025-10-21, 20251021
        (?:[T_\s-]?\d\d[:.]?\d\d(?:[:.]?\d\d(?:[.,]\d+)?)?(?:Z|\s?[+-]\d\d:?\d\d)?)?   # T14:50:00Z, -1450, +02:00
      | \d{1,2}[./]\d{1,2}[./](?:19|20)\d\d                                  # 21.10.2025
      | \d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?                                   # 14:50, 14:50:00.123
    )(?!\d)"""
_AT = r"\s?(?:@|[(\[{]\s?at\s?[)\]}])\s?"
_DOT = r"(?:\.|\s?[(\[{]\s?dot\s?[)\]}]\s?)"
_EMAIL = rf"(?i)[\w.+%'-]+{_AT}(?!v?\d+\.\d)[\w-]+(?:{_DOT}[\w-]+)*{_DOT}[^\W\d_]{{2,}}"
_URL_WITH_LOGIN = r"(?i)[a-z][a-z0-9+.-]*://[^\s/?#@]+@"
_ASSIGNED = (
    r"(?i)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|credentials?)\s*"
    r"(?:=\s*\S{3,}|:\s*(?=\S*\d)\S{6,})|\bbearer\s+(?=\S*\d)\S{8,}|\bbasic\s+[A-Za-z0-9+/]{12,}={1,2}"
)
_KNOWN_PREFIX = (
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk)[-_](?=[\w-]*\d)[\w-]{12,}|gh[opsur]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{12,}|AIza[\w-]{20,}|ya29\.[\w-]{10,}|SG\.[\w-]{12,}|hf_\w{16,}|npm_\w{16,}|pypi-[\w-]{16,}"
    r"|pcsk_\w{16,}|dop_v1_\w{16,}|hvs\.\w{16,}|eyJ[\w-]{6,}\.[\w-]+"
    r")"
)
_HEX = r"(?<![0-9A-Za-z])(?:[0-9a-f]{32,}|[0-9A-F]{32,})(?![0-9A-Za-z])"
_UUID = r"(?i)(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])"
_DRILL_ID = r"(?<![A-Za-z0-9])(?:19|20)\d{6}T\d{6}Z-[0-9a-f]{6}(?![A-Za-z0-9])"
"""Of a drill or its plan, which a reason may well name."""
_RUN = r"[A-Za-z0-9+/_=-]{20,}"
_CARD = r"(?<![\w-])[2-6]\d{3}(?:[ -]?\d{2,6}){2,4}(?![\w-])"
_IBAN = r"(?<![A-Za-z0-9])[A-Z]{2}\d\d(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])"
_SOCIAL = r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"
_IPV4 = r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"
_IPV6 = r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){2,7}(?::|[0-9a-f:]{1,})(?![\w:])"
_PHONES = (
    r"(?<![\w.+])(?:\+|00)[1-9](?:[\s().\-/]{0,2}\d){7,14}(?!\d)",  # +49 30 1234567, 0049...
    r"(?<![\w.+-])0[1-9](?:[\s/.-]?\d){7,11}(?![\d-])",  # 030 1234567, 0171/1234567, 01 23 45 67 89
    r"(?<![\w.+-])(?:1[\s.-]?)?(?:\([2-9]\d\d\)\s?|[2-9]\d\d[\s.-])\d{3}[\s.-]\d{4}(?![\w-])",  # (555) 123-4567
    r"(?<![\w.+-])(?:1?[2-9]\d{2}[2-9]\d{6})(?![\w.-])",  # 5552345678 in one piece
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of sensitive thing, with what a text must at least have before its pattern is worth compiling."""

    name: str
    holds: Callable[[str], bool]
    digits: int = 0
    word: int = 0
    """Length of the longest word."""
    one_of: str = ""
    """At least one of these characters."""

    def is_in(self, text: str) -> bool:
        return self._worth_looking(text) and self.holds(text)

    def _worth_looking(self, text: str) -> bool:
        return (
            sum(map(str.isdigit, text)) >= self.digits
            and max(map(len, text.split()), default=0) >= self.word
            and (not self.one_of or any(char in text for char in self.one_of))
        )


def what_it_looks_like(text: str) -> str:
    """Return what kind of sensitive thing ``text`` seems to hold, with its article; empty if none was seen."""
    plain = text if text.isascii() else _narrow(text)
    return next((kind.name for kind in _KINDS if kind.is_in(plain)), "")


def _phone(text: str) -> bool:
    untimed = _untimed(text)
    return any(re.search(pattern, untimed) for pattern in _PHONES)


def _random_run(text: str) -> bool:
    """Whether a long run changes between upper, lower and digit as often as random characters do (about 0.6)."""
    return any(_change_rate(run) >= 0.34 for run in _runs(text))


def _runs(text: str) -> Iterator[str]:
    for match in re.finditer(_RUN, re.sub(_DRILL_ID, " ", text)):
        run = re.sub(r"[+/_=-]", "", match.group())
        if len(run) >= 20:
            yield run


def _change_rate(run: str) -> float:
    kinds = ["d" if char.isdigit() else "u" if char.isupper() else "l" for char in run]
    return sum(a != b for a, b in pairwise(kinds)) / (len(kinds) - 1)


def _card(text: str) -> bool:
    digits = (re.sub(r"\D", "", match.group()) for match in re.finditer(_CARD, _untimed(text)))
    return any(13 <= len(number) <= 19 and _luhn(number) for number in digits)


def _luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, char in enumerate(reversed(number)):
        digit = int(char) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def _iban(text: str) -> bool:
    return any(_iban_checks(match.group().replace(" ", "")) for match in re.finditer(_IBAN, text))


def _iban_checks(candidate: str) -> bool:
    """ISO 13616: moved by four and letters as numbers, the remainder by 97 is 1. Trailing words may cling to it."""
    return any(
        int("".join(str(int(char, 36)) for char in candidate[4:end] + candidate[:4])) % 97 == 1
        for end in range(15, min(len(candidate), 34) + 1)
    )


def _address(text: str) -> bool:
    """Whether an IP address outside private and loopback ranges is there: it may be a person's."""
    from ipaddress import ip_address

    for match in (*re.finditer(_IPV4, text), *re.finditer(_IPV6, _untimed(text))):
        try:
            if ip_address(match.group()).is_global:
                return True
        except ValueError:
            continue
    return False


def _narrow(text: str) -> str:
    """Turn full-width and other look-alike forms into the plain ones that the patterns know."""
    from unicodedata import normalize

    return normalize("NFKC", text)


def _untimed(text: str) -> str:
    return re.sub(_TIMES, "\u00b7", text)


def _has(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.search(pattern, text) is not None


_KINDS = (
    _Kind("a URL with credentials", _has(_URL_WITH_LOGIN), one_of="@"),
    _Kind("an e-mail address", _has(_EMAIL), one_of="@([{"),
    _Kind("a password or token", _has(_ASSIGNED), one_of="=:"),
    _Kind("a password or token", _has(_ASSIGNED), digits=1, word=8, one_of="Bb"),
    _Kind("a token", lambda text: "-----BEGIN" in text),
    _Kind("a token", _has(_KNOWN_PREFIX), word=12),
    _Kind("a token", _has(_HEX), word=32),
    _Kind("a token", _has(_UUID), word=36),
    _Kind("a token", _random_run, word=20),
    _Kind("a bank account", _iban, digits=8),
    _Kind("a card number", _card, digits=13),
    _Kind("a social security number", _has(_SOCIAL), digits=9),
    _Kind("a phone number", _phone, digits=8),
    _Kind("an IP address", _address, digits=1, one_of=".:"),
)

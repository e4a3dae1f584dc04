"""Pages of all kinds, good, odd and broken: what a real Prometheus makes of each is the measure of our reader."""

from typing import NamedTuple

from tests.library.server import CLASSIC, OPENMETRICS


class Kind(NamedTuple):
    """One page; ``stricter`` says why our reader may refuse what Prometheus reads."""

    name: str
    body: bytes
    type: str
    stricter: str = ""


def classic(name: str, text: str | bytes, stricter: str = "", kind: str = CLASSIC) -> Kind:
    body = text if isinstance(text, bytes) else text.encode()
    return Kind(name, body, kind, stricter)


def openmetrics(name: str, text: str, stricter: str = "", end: str = "# EOF\n") -> Kind:
    return Kind(name, (text + end).encode(), OPENMETRICS, stricter)


PAGE = '# HELP a_total Requests.\n# TYPE a_total counter\na_total{b="c"} 7\n'
OPEN = '# HELP a Requests.\n# TYPE a counter\na_total{b="c"} 7\n'
EXEMPLAR = 'a_total 1 # {trace_id="%s"} 0.5 1700000000.5\n'

PAGES = [
    # the content type
    classic("as text/plain", PAGE),
    classic("as text/html", PAGE, kind="text/html; charset=utf-8"),
    classic("as json", PAGE, kind="application/json"),
    classic("without a content type", PAGE, kind=""),
    classic("with a content type that is none", PAGE, kind=";;;"),
    classic("openmetrics that calls itself text", OPEN + "# EOF\n"),
    Kind("openmetrics in upper case", (OPEN + "# EOF\n").encode(), "Application/OpenMetrics-Text; version=1.0.0"),
    Kind("openmetrics without a version", (OPEN + "# EOF\n").encode(), "application/openmetrics-text"),
    classic("html", "<html><body>login</body></html>\n", kind="text/html"),
    classic("json", '{"status": "ok"}\n', kind="application/json"),
    # the classic format: ends of lines, spaces, comments
    classic("no final newline", PAGE.rstrip("\n")),
    classic("blank lines", f"\n\n{PAGE}\n  \n\t\n{PAGE.replace('a_total', 'z_total')}\n"),
    classic("carriage returns", PAGE.replace("\n", "\r\n")),
    classic("a carriage return after a value", "a 1\r\n"),
    classic("tabs and spaces", 'a\t{\tb = "c" , d="e"\t}\t 7 \t1700000000000\t\nz   1  \n'),
    classic("comments", "#\n# anything at all\n#TYPE a nonsense\n# HELPER a b\n# TYPES a b\na 1\n# EOF\nb 2\n"),
    classic("help without a text", "# HELP a\n# HELP b \n# HELP\na 1\n"),
    classic("type twice", "# TYPE a counter\n# TYPE a counter\na 1\n"),
    classic("type twice and otherwise", "# TYPE a counter\n# TYPE a gauge\na 1\n"),
    classic("type without a type", "# TYPE a\na 1\n"),
    classic("a type with a space behind it", "# TYPE a counter \na 1\n"),
    classic("a type behind two spaces", "# TYPE a  counter\na 1\n"),
    classic("a type that is none", "# TYPE a number\na 1\n"),
    classic("a type of openmetrics", "# TYPE a unknown\na 1\n"),
    classic("type without a name", "# TYPE 1a counter\na 1\n"),
    classic("unit", "# UNIT a seconds\na 1\n"),
    classic("spaces before a comment", "   # TYPE a counter\n \t# x\na 1\n"),
    classic("spaces before a sample", "  a 1\n"),
    classic("a family in two pieces", "# TYPE a counter\na_total 1\nb 2\na_total{x='y'} 3\n".replace("'", '"')),
    classic("type after its samples", "a 1\n# TYPE a counter\n"),
    classic("a byte order mark", b"\xef\xbb\xbfa 1\n"),
    classic("a nul byte", "a 1\n\0b 2\n", stricter="Prometheus takes the rest for not there"),
    classic("empty", "", stricter="nothing is no page"),
    classic("comments only", "# nothing\n", stricter="nothing is no page"),
    # names and labels
    classic("names", "a:b_1 1\n:c 2\n_d 3\n"),
    classic("a name with a dash", "a-b 1\n"),
    classic("a name that begins with a digit", "1a 1\n"),
    classic("a name with a dot", "a.b 1\n"),
    classic("a quoted name", '{"a.b",c="d"} 1\n'),
    classic("a quoted label", 'a{"b.c"="d"} 1\n'),
    classic("no name", '{a="b"} 1\n'),
    classic("no labels in braces", "a{} 1\n"),
    classic("a comma too many", 'a{b="c",} 1\n'),
    classic("two commas", 'a{b="c",,} 1\n'),
    classic("a comma first", 'a{,b="c"} 1\n'),
    classic("no comma", 'a{b="c"d="e"} 1\n', stricter="later versions refuse it"),
    classic("a label that is empty", 'a{b="",c="d"} 1\n'),
    classic("escapes", r'a{b="x\\y",c="x\"y",d="x\ny",e="x\ty",f="x\\ny"} 1' + "\n"),
    classic("a line feed in a label", 'a{b="c\nd"} 1\nz 2\n'),
    classic("a brace in a label", 'a{b="}",c="{",d=",",e="# EOF"} 1\n'),
    classic("a label of another alphabet", 'a{b="Grüße 世界"} 1\n'),
    classic("a label that is not utf-8", b'a{b="\xff"} 1\n'),
    classic("help that is not utf-8", b"# HELP a \xff\na 1\n"),
    classic("a comment that is not utf-8", b"# \xff\na 1\n"),
    classic("a label that is not closed", 'a{b="c} 1\nz 2\n'),
    classic("a label without quotes", "a{b=c} 1\n"),
    classic("a label in single quotes", "a{b='c'} 1\n"),
    classic("a label twice", 'a{b="c",b="d"} 1\nz 1\n'),
    classic("a label with a colon", 'a{b:c="d"} 1\n'),
    classic("braces that stay open", 'a{b="c" 1\n'),
    # values and times
    classic("values", "a 1e5\nb -1.5E-3\nc +7\nd .5\ne 5.\nf 007\ng -0\nh 1e-400\n"),
    classic("a huge whole number", "a 9007199254740993\nb 123456789012345678901234567890\n"),
    classic(
        "not a number", "# TYPE a gauge\na NaN\nb nan\n# TYPE c summary\nc{quantile='1'} NaN\nz 1\n".replace("'", '"')
    ),
    classic("infinite", "# TYPE a gauge\na +Inf\nb -inf\nc Infinity\nd inf\n"),
    classic("a counter that is no number", "# TYPE a counter\na_total NaN\nz 1\n", stricter="no counter is that"),
    classic("nan with a sign", "a +NaN\nz 1\n"),
    classic("a value that is too great", "a 1e400\n"),
    classic("a hexadecimal value", "a 0x10\n"),
    classic("a hexadecimal float", "a 0x1p4\n"),
    classic("a value with an underscore", "a 1_000\n"),
    classic("a value with a comma", "a 1,5\n"),
    classic("a value of other digits", "a \u0661\n"),
    classic("no value", "a\nb 1\n"),
    classic("no value after labels", 'a{b="c"}\n'),
    classic("a name that ends in digits, no value", "a1\nb 1\n"),
    classic("no space before a value", 'a{b="c"}1\nz+2\n'),
    classic("a time", "a 1 1700000000000\n"),
    classic("a time with a fraction", "a 1 1700000000.5\n"),
    classic("a time before 1970", "a 1 -5\n"),
    classic("a time that is too great", "a 1 99999999999999999999\n"),
    classic("words behind a value", "a 1 2 3\n"),
    classic("an exemplar in the classic format", EXEMPLAR % "x"),
    # a series twice
    classic("a series twice with one value", "a 1\nb 2\na 1\n"),
    classic("a series twice with two values", "a 5\nb 2\na 0\n", stricter="Prometheus keeps one of the two"),
    classic("a series twice by an empty label", 'a 5\na{b=""} 0\n', stricter="Prometheus keeps one of the two"),
    classic("a series twice by the order of labels", 'a{b="c",d="e"} 5\na{d="e",b="c"} 5\n'),
    # openmetrics
    openmetrics("openmetrics", OPEN),
    openmetrics("openmetrics without an end", OPEN, end=""),
    openmetrics("openmetrics whose end has no newline", OPEN, end="# EOF"),
    openmetrics("openmetrics with a line behind its end", OPEN, end="# EOF\n\n"),
    openmetrics("openmetrics with more behind its end", OPEN, end="# EOF\nb 1\n"),
    openmetrics("openmetrics with two ends", OPEN, end="# EOF\n# EOF\n"),
    openmetrics("openmetrics whose end stands in a value", OPEN, end="a 1# EOF\n"),
    openmetrics("a counter without _total", "# TYPE a counter\na 1\n"),
    openmetrics("an exemplar", EXEMPLAR % "abc"),
    openmetrics("an exemplar of 129 characters", EXEMPLAR % ("x" * 129)),
    openmetrics("an exemplar without a time", 'a_total 1 # {} 0.5\nb_total 1 5 # {t="x",u="y"} 1\n'),
    openmetrics("an exemplar on a gauge", '# TYPE a gauge\na 1 # {t="x"} 1\n'),
    openmetrics("an exemplar without a value", 'a_total 1 # {t="x"}\n'),
    openmetrics("an exemplar that is no number", 'a_total 1 # {t="x"} y\n'),
    openmetrics(
        "a family in two pieces of openmetrics",
        "# TYPE a counter\na_total 1\nb 2\na_total{c='d'} 3\n".replace("'", '"'),
    ),
    openmetrics("an info and a stateset", '# TYPE a info\na_info{v="1"} 1\n# TYPE b stateset\nb{b="on"} 1\n'),
    openmetrics("a unit", "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n"),
    openmetrics("a unit that is not in the name", "# UNIT a seconds\na 1\n"),
    openmetrics("an empty unit", "# UNIT a \na 1\n"),
    openmetrics("an untyped family", "# TYPE a untyped\na 1\n"),
    openmetrics("a comment", "# nothing\na 1\n"),
    openmetrics("a blank line", "a 1\n\nb 2\n"),
    openmetrics("two spaces", "a  1\n"),
    openmetrics("a space at the end", "a 1 \n"),
    openmetrics("a space between labels", 'a{b="c", d="e"} 1\n'),
    openmetrics("a comma at the end of labels", 'a{b="c",} 1\n'),
    openmetrics("a tab", "a\t1\n"),
    openmetrics("carriage returns of openmetrics", "a 1\r\nb 2\r\n"),
    openmetrics("a time with a fraction of openmetrics", "a 1 1700000000.5\n"),
    openmetrics("a time before 1970 of openmetrics", "a 1 -5\n"),
    openmetrics("a time that is no number", "a 1 NaN\n"),
    openmetrics("help in two lines", r"# HELP a one\ntwo \"three\"" + "\na 1\n"),
    openmetrics("a line feed in a label of openmetrics", 'a{b="c\nd"} 1\n'),
    openmetrics("a native histogram as text", "# TYPE a histogram\na {count:1,sum:1,schema:0} 1\n"),
    openmetrics("a histogram", '# TYPE a histogram\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 2\na_count 2\na_sum 3\n'),
    openmetrics("creation times", "# TYPE a counter\na_total 1\na_created 1.7e9\n"),
    openmetrics("openmetrics of nothing", "", stricter="nothing is no page"),
]

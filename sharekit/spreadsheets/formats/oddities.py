"""Which cell makes a reader refuse a sheet: a second, slow look, once it has been refused."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import IO, Final

#: A sheet's XML is looked through so far; beyond it, the sheet is all that is named.
_MOST: Final = 16 << 20
_CHUNK: Final = 1 << 20
_PREFIX: Final = rb"<(?:[\w.-]+:)?"
# No pattern looks beyond the next "<", so that the time is linear whatever the bytes are.
_PLACES: Final = re.compile(
    _PREFIX + rb"(?:(?P<kind>mergeCell|dimension)\s[^<>]*?\bref=[\"'](?P<ref>[^\"'<>]*)[\"']"
    rb"|c(?P<head>\s[^<>]*)?>)"
)
_ATTRIBUTE: Final = re.compile(rb"\b([rt])=[\"']([^\"']*)[\"']")
_VALUE: Final = re.compile(_PREFIX + rb"v(?:\s[^<>]*)?>([^<]*)<")
_TEXTS: Final = re.compile(_PREFIX + rb"si[\s/>]")
_AREA: Final = re.compile(rb"\$?[A-Z]{1,3}\$?[1-9][0-9]{0,6}(?::\$?[A-Z]{1,3}\$?[1-9][0-9]{0,6})?")
_NUMBER: Final = re.compile(rb"\s*[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\s*")
_TYPES: Final = frozenset({b"n", b"s", b"b", b"e", b"str", b"inlineStr", b"d"})
_NAMES: Final = {b"mergeCell": "merged cells", b"dimension": "the sheet's own note of its size"}
#: What XML 1.0 allows in no way, not even by number.
_CONTROL: Final = re.compile(rb"&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));"
                             rb"|[\x00-\x08\x0b\x0c\x0e-\x1f]", re.IGNORECASE)  # fmt: skip


def odd_spot(stream: IO[bytes]) -> str:
    """Say which cell of a sheet's XML is odd, and how; ``""`` if none is found.

    Examples
    --------
    >>> import io
    >>> odd_spot(io.BytesIO(b'<row r="2"><c r="B2"><v>9afb</v></c></row>'))
    "cell B2 is said to be a number, but holds '9afb'"
    >>> odd_spot(io.BytesIO(b'<mergeCell ref="A1:?"/>'))
    "merged cells are given as 'A1:?', which is no range"
    """
    for found, body in _each(_PLACES, _beginning(stream)):
        if found["kind"]:
            if not _AREA.fullmatch(found["ref"]):
                name = _NAMES[found["kind"]]
                verb = "are" if name.endswith("cells") else "is"
                return f"{name} {verb} given as {_shown(found['ref'])}, which is no range"
            continue
        head = found["head"] or b""
        held = b"" if head.endswith(b"/") else body.partition(b"</row")[0]
        if told := _odd_cell(dict(_ATTRIBUTE.findall(head)), held):
            return told
    return ""


def odd_text(stream: IO[bytes]) -> tuple[int, str]:
    r"""Find the first odd text of a workbook's table of texts: its place, and how it is odd.

    Examples
    --------
    >>> import io
    >>> odd_text(io.BytesIO(b"<si><t>good</t></si><si><t>b\xffd</t></si>"))
    (1, 'holds bytes that are no UTF-8')
    """
    for place, (_, text) in enumerate(_each(_TEXTS, _beginning(stream))):
        if told := _odd_letters(text):
            return place, told
    return 0, ""


def _beginning(stream: IO[bytes]) -> bytes:
    """The most that is looked through, never cut within a text."""
    data = bytearray()
    while chunk := stream.read(_CHUNK):
        data += chunk
        if len(data) > _MOST:
            return bytes(data[: data.rfind(b"<")])
    return bytes(data)


def _each(pattern: re.Pattern[bytes], data: bytes) -> Iterator[tuple[re.Match[bytes], bytes]]:
    """Yield what is found, each with all that stands before the next."""
    ends = itertools.chain(pattern.finditer(data), [None])
    for found, after in itertools.pairwise(ends):
        if found:
            yield found, data[found.end() : after.start() if after else len(data)]


def _odd_letters(data: bytes) -> str:
    if _CONTROL.search(data):
        return "holds a control character, which no text may hold"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "holds bytes that are no UTF-8"
    return ""


def _odd_cell(attributes: dict[bytes, bytes], body: bytes) -> str:
    name = f"cell {_plain(attributes.get(b'r', b'without an address'))}"
    kind = attributes.get(b"t", b"n")
    if kind not in _TYPES:
        return f"{name} is of a type {_shown(kind)} that does not exist"
    if told := _odd_letters(body):
        return f"{name} {told}"
    value = _VALUE.search(body)
    if kind == b"n" and value and value[1].strip() and not _NUMBER.fullmatch(value[1]):
        return f"{name} is said to be a number, but holds {_shown(value[1])}"
    return ""


def _plain(data: bytes) -> str:
    return " ".join(data.decode("utf-8", "replace").split())[:40]


def _shown(data: bytes) -> str:
    return repr(_plain(data))

"""Number formats that show a person another text than the cell holds.

A format may have a section for text: ``@"1"`` puts a digit behind every ID, ``;;;`` hides it. Which
cells have such a format is noted only in workbooks that declare one, so it costs others nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Final

from .raw_sheet import Area

#: Literals in quotes, single ones, blanks as wide as a letter, fillings, colours, General, others.
_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<plain>.)|_.|\*(?P<fill>.)|\[(?:\$(?P<sign>[^\]-]*))?[^\]]*\]'
    r"|(?P<whole>General|Standard)|(?P<mark>@)|(?P<end>;)|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)
_PROBE: Final = "a"
_CODE: Final = re.compile(rb"""formatCode\s*=\s*["']([^"']*)["']""")
_CHUNK: Final = 1 << 20
#: Longer than any number format.
_LONGEST: Final = 4096


def shown(code: str, text: str) -> str:
    r"""Say what a cell of text shows under a number format (ECMA-376, 18.8.31).

    Examples
    --------
    >>> shown('@"1"', "9a"), shown("0.00", "9a"), shown(r'_-* #,##0\ _€;_-@_-', "9a")
    ('9a1', '9a', '9a')
    >>> shown(";;;", "9a"), shown('0;-0;0;"text"', "9a")
    ('', 'text')
    """
    sections: list[list[tuple[str, str]]] = [[]]
    for token in _TOKEN.finditer(code):
        kind = token.lastgroup or ""
        if kind == "end":
            sections.append([])
        else:
            sections[-1].append((kind, token[kind] if kind else ""))
    texts = [part for part in sections if ("mark", "@") in part]
    part = sections[3] if len(sections) > 3 else texts[-1] if texts else None
    if part is None:
        return text
    return "".join(text if kind in ("mark", "whole") else told for kind, told in part).strip()


def disguises(code: str) -> bool:
    """Tell whether a number format shows text otherwise than it is, blanks at its ends apart."""
    return shown(code, _PROBE) != _PROBE


def declares(styles: IO[bytes]) -> bool:
    """Tell whether any number format in an xlsx's styles disguises text, without parsing them."""
    text = b""
    while chunk := styles.read(_CHUNK):
        text = text[-_LONGEST:] + chunk
        codes = {html.unescape(code.decode("utf-8", "replace")) for code in _CODE.findall(text)}
        if any(map(disguises, codes)):
            return True
    return False


@dataclass
class Disguises:
    """The number formats of a workbook that disguise text, by style, and the cells that have them.

    Attributes
    ----------
    codes : Mapping[str, str]
        A cell's style -> its number format.
    conditional : Mapping[str, str]
        The same of the formats that conditions put on cells.
    areas : list of (Area, str)
        Where in a sheet each stands.
    """

    codes: Mapping[str, str] = field(default_factory=dict)
    conditional: Mapping[str, str] = field(default_factory=dict)
    areas: list[tuple[Area, str]] = field(default_factory=list)
    _open: dict[tuple[int, str], int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.codes or self.conditional)

    def afresh(self) -> Disguises:
        """Return the same formats for another sheet."""
        return Disguises(self.codes, self.conditional)

    def note(self, row: int, column: int, style: str, rows: int = 1, columns: int = 1) -> None:
        """Note cells if their style disguises text; cells one below the other become one area."""
        code = self.codes.get(style)
        if code is None:
            return
        place = self._open.get((column, style), -1)
        if place >= 0 and columns == 1:
            (top, left, bottom, right), _ = self.areas[place]
            if bottom == row - 1 and left == right:
                self.areas[place] = ((top, left, row + rows - 1, right), code)
                return
        self._open[column, style] = len(self.areas)
        self.areas.append(((row, column, row + rows - 1, column + columns - 1), code))


def by_style(codes: Iterable[str]) -> dict[str, str]:
    """Keep the formats that disguise text, by their number in a list of all."""
    return {str(style): code for style, code in enumerate(codes) if disguises(code)}


def literal(text: str) -> str:
    """Write a number format that shows every text as this one.

    >>> shown(literal("Q3; @home"), "9a")
    'Q3; @home'
    """
    return ";;;" + "".join(f"\\{letter}" for letter in text)

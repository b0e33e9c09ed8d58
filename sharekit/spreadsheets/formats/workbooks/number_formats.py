"""Number formats of xlsx and OpenDocument that display another text than the cell holds.

A format may have a section for text: ``@"1"`` puts a digit behind every ID, ``;;;`` hides it. Cells
with such a format are collected only in workbooks that declare one, so it costs others nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..raw_sheet import AreaList

#: Literals in quotes, single ones, blanks as wide as a letter, fillings, colours, General, others.
_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<plain>.)|_.|\*(?P<fill>.)|\[(?:\$(?P<sign>[^\]-]*))?[^\]]*\]'
    r"|(?P<whole>General|Standard)|(?P<mark>@)|(?P<end>;)|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)
_SAMPLE: Final = "a"


def displayed_text(code: str, text: str) -> str:
    r"""Return what a cell of text displays under a number format (ECMA-376, 18.8.31).

    Examples
    --------
    >>> displayed_text('@"1"', "9a"), displayed_text("0.00", "9a")
    ('9a1', '9a')
    >>> displayed_text(r'_-* #,##0\ _€;_-@_-', "9a"), displayed_text(";;;", "9a")
    ('9a', '')
    """
    sections: list[list[tuple[str, str]]] = [[]]
    for token in _TOKEN.finditer(code):
        kind = token.lastgroup or ""
        if kind == "end":
            sections.append([])
        else:
            sections[-1].append((kind, token[kind] if kind else ""))
    for_text = [section for section in sections if ("mark", "@") in section]
    section = sections[3] if len(sections) > 3 else for_text[-1] if for_text else None
    if section is None:
        return text
    letters = (text if kind in ("mark", "whole") else literal for kind, literal in section)
    return "".join(letters).strip()


def alters_text(code: str) -> bool:
    """Return True if a number format displays other text than it is given, outer blanks apart."""
    return displayed_text(code, _SAMPLE) != _SAMPLE


def literal_format(text: str) -> str:
    """Write a number format that displays every text as this one.

    >>> displayed_text(literal_format("Q3; @home"), "9a")
    'Q3; @home'
    """
    return ";;;" + "".join(f"\\{letter}" for letter in text)


def altering_styles(codes: Iterable[str]) -> dict[str, str]:
    """Keep the formats that alter text, each under its position in the list of all styles."""
    return {str(style): code for style, code in enumerate(codes) if alters_text(code)}


@dataclass
class TextFormats:
    """The number formats of a workbook that alter text, and the cells of one sheet that have them.

    Attributes
    ----------
    codes : Mapping[str, str]
        A cell's style -> its number format.
    conditional : Mapping[str, str]
        The same of the formats that conditions put on cells.
    areas : AreaList
        Cells of the sheet, each area with its number format.
    """

    codes: Mapping[str, str] = field(default_factory=dict)
    conditional: Mapping[str, str] = field(default_factory=dict)
    areas: AreaList = field(default_factory=AreaList)

    def __bool__(self) -> bool:
        return bool(self.codes or self.conditional)

    def for_sheet(self) -> TextFormats:
        """Return the same formats without cells, for another sheet."""
        return TextFormats(self.codes, self.conditional)

    def add_cell(self, row: int, column: int, style: str) -> None:
        """Add a cell if its style alters text; cells one below the other become one area."""
        code = self.codes.get(style)
        if code is not None:
            self.areas.add(row, column, code)

"""Good lists of shares, spoiled as people spoil them, and what a person sees in each row.

Second headers in other orders, separators and quotation marks in texts, crossed-out cells, IDs that
were dragged down, titles that speak against what is below, columns that call a share off, totals
and signatures: the decision that is planned for a share is the one that a
person sees beside it, or the row is an error, or left out with its reason.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import openpyxl
import xlsxwriter
from odf import style, table, text
from odf.opendocument import OpenDocumentSpreadsheet
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.styles import Font

import sharekit
from sharekit.core.errors import SharekitError
from sharekit.spreadsheets.vocabulary import LANGUAGES, split_words

T = TypeVar("T")
#: Returns a number from 0 to one below its argument.
Chooser = Callable[[int], int]
#: Remarks that say nothing of the decision; the word for another decision would be an error.
NOTES: Final = ["", "ok", "no", "yes, accepted", "rejected?", 'said "no"', "3.5", "x; y"]
STATES: Final = ["pending", "accepted", "rejected"]
OTHERS: Final = (
    ["Total", "7"], ["Approved by", "Ada"], ["Legend: accepted = wanted"], ["", "", "page 2"],
    ["Summe", "", "3"], ["-----", "-----"], ["Ada Lovelace, 2026-07-01"], [],
)  # fmt: skip


@dataclass
class Cell:
    """A cell: its text, whether it is crossed out, and whether a csv has it without quotes."""

    text: str
    struck: bool = False
    bare: bool = False


@dataclass
class Sheet:
    """Lines of cells, and what a person sees.

    Attributes
    ----------
    seen : dict
        (image ID, project ID) -> the action that a person sees beside the share, or None if a
        person would not send it: it was crossed out or counted up.
    spoiled : list of str
        How it was spoiled.
    """

    lines: list[list[Cell]] = field(default_factory=list)
    seen: dict[tuple[str, str], str | None] = field(default_factory=dict)
    spoiled: list[str] = field(default_factory=list)


class Maker:
    """Makes a sheet by choices."""

    def __init__(self, choose: Chooser) -> None:
        self.choose = choose
        self.dice = random.Random(choose(1 << 30))
        self.language = self.pick([*LANGUAGES.values()])
        self.sheet = Sheet()
        fields = ["image_id", "project_id", "status", "owner", "vault_id", "note", "member status"]
        fields.append("off")
        self.columns = self.shuffled(fields[: 4 + choose(5)])
        self.headers = {name: self.header(name) for name in fields}

    def pick(self, values: list[T]) -> T:
        """One of some values."""
        return values[self.choose(len(values))]

    def shuffled(self, values: list[T]) -> list[T]:
        """The same values in another order."""
        rest, order = list(values), []
        while rest:
            order.append(rest.pop(self.choose(len(rest))))
        return order

    def header(self, name: str) -> str:
        """A header of a field in the sheet's language."""
        if name == "note":
            return "Remark"
        if name == "member status":
            return "Member status"
        if name == "off":
            return self.pick(split_words(self.language.of_off))
        clear = self.language.headers[name].split(";")[0]
        return self.pick(split_words(clear))

    def project(self) -> str:
        """An ID as clouds draw them."""
        return f"{self.dice.getrandbits(128):032x}"

    def image(self) -> str:
        """An ID of an image or a vault."""
        digits = self.project()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def share(self) -> dict[str, str]:
        """A share as a person writes it, and its action."""
        action = self.pick(["accepted", "rejected", "accepted", "rejected", "share"])
        words = split_words(self.language.decisions[action])
        return {
            "image_id": self.image(), "project_id": self.project(), "action": action,
            "status": self.pick([action, *words]), "owner": self.project(),
            "vault_id": self.image() if action == "accepted" else "",
            "note": self.pick(NOTES), "member status": self.pick(STATES),
            "off": self.pick(["", "no"]),
        }  # fmt: skip

    def add_header(self) -> None:
        """Write the header of the columns as they are now."""
        self.sheet.lines.append([Cell(self.headers[name]) for name in self.columns])

    def add(self, share: dict[str, str], *, sent: bool = True) -> list[Cell]:
        """Write a share, in the order of the columns; a person sees its action unless not sent."""
        line = [Cell(share[name]) for name in self.columns]
        self.sheet.lines.append(line)
        self.sheet.seen[share["image_id"], share["project_id"]] = share["action"] if sent else None
        return line

    def make(self, *, text: bool) -> Sheet:
        """Make a sheet; ``text`` says that it will be a csv, which is spoiled in other ways."""
        self.add_header()
        ways = [self.other_header, self.same_header, self.dragged, self.other_row]
        ways += [self.several, self.title, self.called_off]
        ways += [self.stray_quote, self.bare_separator] if text else [self.struck] * 2
        for _ in range(2 + self.choose(6)):
            if self.choose(3):
                self.add(self.share())
            else:
                way = self.pick(ways)
                self.sheet.spoiled.append(way.__name__)
                way()
        self.add(self.share())
        return self.sheet

    def other_header(self) -> None:
        """A second table with its columns in another order, or one of them gone."""
        columns = self.shuffled(self.columns)
        self.columns = [c for c in columns if c not in {"note", "vault_id"} or self.choose(2)]
        if not self.choose(3):
            self.sheet.lines.append([])
        self.add_header()

    def same_header(self) -> None:
        """A printed page begins: the header once more."""
        self.add_header()

    def dragged(self) -> None:
        """A share whose ID was dragged down over the rows below."""
        share, name = self.share(), self.pick(["image_id", "project_id"])
        start = 100 + self.choose(890)
        stem = share[name][:-3]
        self.add(share | {name: f"{stem}{start}"})
        step = self.pick([1, -1])
        for number in range(1, 2 + self.choose(3)):
            ending = f"{start + step * number:03d}"
            self.add(self.share() | {name: f"{stem}{ending}"}, sent=False)

    def other_row(self) -> None:
        """A row that is no share."""
        self.sheet.lines.append([Cell(value) for value in self.pick([*OTHERS])])

    def title(self) -> None:
        """A title that speaks against the share below it."""
        own = self.language
        words = split_words(f"{own.of_off}, {own.of_void}, {own.of_earlier}, {own.of_records}")
        self.sheet.lines.append([Cell(f"{self.pick(words)}{self.pick(['', ':', ' 2025'])}")])
        if self.choose(2):
            self.add_header()
        self.add(self.share(), sent=False)
        self.sheet.lines.append([Cell("Others of Team Data")])

    def called_off(self) -> None:
        """A share that a column of yes and no calls off."""
        share = self.share()
        called_off = "off" in self.columns and share["action"] != "rejected"
        yes = self.pick(split_words(self.language.yes)) if called_off else ""
        self.add(share | {"off": yes}, sent=not called_off)

    def several(self) -> None:
        """Two images, or a share and a remark, in one cell."""
        share = self.share()
        cell = self.pick([f"{share['image_id']}; {self.image()}", f"{share['image_id']} (or not)"])
        self.add(share, sent=False)[self.columns.index("image_id")].text = cell

    def struck(self) -> None:
        """A share of which a cell, or all of the row, is crossed out."""
        line = self.add(self.share(), sent=False)
        names = ["image_id", "project_id", "status"]
        struck = self.columns if not self.choose(3) else [self.pick(names)]
        for cell, name in zip(line, self.columns, strict=True):
            cell.struck = name in struck

    def stray_quote(self) -> None:
        """A text that begins with a quotation mark and does not end with one."""
        line = self.add(self.share())
        if "note" in self.columns:
            line[self.columns.index("note")] = Cell(self.pick(['"', '"same', '"x "y']), bare=True)

    def bare_separator(self) -> None:
        """A text with separators in it, without quotation marks around it."""
        line = self.add(self.share())
        if "note" in self.columns:
            words = ["asked the owner", "yes", "no", "accepted", "rejected", ""]
            parts = [self.pick(words) for _ in range(2 + self.choose(2))]
            line[self.columns.index("note")] = Cell("\0".join(parts), bare=True)


# -- writers ---------------------------------------------------------------------------------------
def by_text(path: Path, sheet: Sheet, choose: Chooser) -> Path:
    """csv: texts with a separator or a quotation mark in quotes, but bare ones as they are."""
    separator = [",", ";", "\t"][choose(3)]

    def written(cell: Cell) -> str:
        if cell.bare:
            return cell.text.replace("\0", separator)
        quoted = re.search(r'["\r\n]', cell.text) or separator in cell.text
        return f'"{cell.text.replace(chr(34), chr(34) * 2)}"' if quoted else cell.text

    lines = (separator.join(map(written, line)) for line in sheet.lines)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def by_openpyxl(path: Path, sheet: Sheet, choose: Chooser) -> Path:
    """openpyxl: crossed out by the cell's font or by rich text."""
    book = openpyxl.Workbook()
    for number, line in enumerate(sheet.lines, 1):
        for column, cell in enumerate(line, 1):
            place = book.active.cell(number, column)
            place.value = cell.text
            if cell.struck and cell.text and choose(2):
                place.value = CellRichText(TextBlock(InlineFont(strike=True), cell.text))
            elif cell.struck:
                place.font = Font(strike=True)
            if cell.text and not isinstance(place.value, CellRichText):
                place.data_type = "s"
    book.save(path)
    return path


def by_xlsxwriter(path: Path, sheet: Sheet, choose: Chooser) -> Path:
    """xlsxwriter: crossed out by the cell's format or by rich text."""
    with xlsxwriter.Workbook(path) as book:
        page, strike = book.add_worksheet(), book.add_format({"font_strikeout": True})
        for number, line in enumerate(sheet.lines):
            for column, cell in enumerate(line):
                if cell.struck and len(cell.text) > 1 and choose(2):
                    runs = (strike, cell.text[:1], strike, cell.text[1:])
                    page.write_rich_string(number, column, *runs)
                else:
                    page.write_string(number, column, cell.text, strike if cell.struck else None)
    return path


def by_odfpy(path: Path, sheet: Sheet, choose: Chooser) -> Path:
    """odfpy: crossed out by the cell's style or by one of its text."""
    document, page = OpenDocumentSpreadsheet(), table.Table(name="Sheet")
    for family in ("table-cell", "text"):
        made = style.Style(name=f"strike-{family}", family=family)
        made.addElement(style.TextProperties(textlinethroughstyle="solid"))
        document.automaticstyles.addElement(made)
    for line in sheet.lines:
        row = table.TableRow()
        for cell in line:
            whole = cell.struck and bool(choose(2))
            more = {"stylename": "strike-table-cell"} if whole else {}
            place = table.TableCell(**({"valuetype": "string"} if cell.text else {}), **more)
            if cell.text:
                of_text = {"stylename": "strike-text"} if cell.struck and not whole else {}
                paragraph = text.P()
                paragraph.addElement(text.Span(text=cell.text, **of_text))
                place.addElement(paragraph)
            row.addElement(place)
        page.addElement(row)
    document.spreadsheet.addElement(page)
    document.save(str(path))
    return path


WRITERS: Final = {
    "a.csv": by_text, "a.xlsx": by_openpyxl, "b.xlsx": by_xlsxwriter, "a.ods": by_odfpy,
}  # fmt: skip


# -- what must hold --------------------------------------------------------------------------------
def target(folder: Path) -> Callable[[Chooser], None]:
    """The target that spoils a list and compares the plan with what a person sees."""

    def spoil(choose: Chooser) -> None:
        name = [*WRITERS][choose(len(WRITERS))]
        sheet = Maker(choose).make(text=name.endswith("csv"))
        compare(WRITERS[name](folder / name, sheet, choose), sheet)

    return spoil


def compare(path: Path, sheet: Sheet) -> None:
    """Raise AssertionError if a plan has what nobody sees, or lacks what it does not tell of."""
    try:
        findings = sharekit.check(sharekit.read_inventory(path))
    except SharekitError:
        if sheet.spoiled:
            return
        raise
    rows = findings.rows
    planned = {
        (row.image_id, row.project_id): row.status
        for row in rows[rows["disposition"] == "planned"].itertuples()
    }
    for share, action in planned.items():
        assert sheet.seen.get(share) == action, (share, action, sheet.spoiled)
    told = findings.frame["severity"].isin(["error", "warning"]).any()
    read = set(zip(rows["image_id"], rows["project_id"], strict=True))
    lost = [share for share, action in sheet.seen.items() if action and share not in read]
    assert told or not lost, (lost, sheet.spoiled)
    if not set(sheet.spoiled) - {"same_header", "other_row"}:
        assert planned == sheet.seen, (findings.frame["message"].tolist(), sheet.spoiled)

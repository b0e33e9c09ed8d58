"""How much a spreadsheet may ask for before it is refused, and the sentences that refuse it."""

from __future__ import annotations

from dataclasses import dataclass

from sharekit.core.errors import SpreadsheetError

from .formats.raw_sheet import column_letter

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """The most that one spreadsheet may hold; whatever is honest and useful stays far below.

    A million rows of fifty columns pass. What does not is refused before it takes the memory.

    Attributes
    ----------
    file_bytes : int
        Size of the file itself.
    piped_bytes : int
        Length of what comes from standard input; it may never end, and is held in memory.
    inflated_bytes : int
        Size of all parts of a workbook together once unpacked, or of a parquet file's text.
    strings_bytes : int
        Size of a workbook's table of texts once unpacked; readers hold all of it in memory.
    ratio : int
        How many times its packed size a part may unpack to, if it is larger than 64 MiB.
    parts, sheets, columns : int
        Files inside a workbook, its sheets, and columns of one sheet.
    merges : int
        How often a sheet merges cells.
    cells : int
        Height times width of a sheet, from its corner to its last cell; blank ones count, since
        they take memory as well. Above a quarter of it, one cell in twenty must be filled; above
        a sixteenth, no more than twenty cells may be told by repeating one (OpenDocument).

    Examples
    --------
    >>> Limits(sheets=3).sheets
    3
    """

    file_bytes: int = 2048 * _MIB
    piped_bytes: int = 512 * _MIB
    inflated_bytes: int = 4096 * _MIB
    strings_bytes: int = 512 * _MIB
    ratio: int = 250
    parts: int = 20_000
    sheets: int = 1_000
    columns: int = 16_384
    merges: int = 100_000
    cells: int = 64 * _MIB

    def check_size(self, file: str, size: int) -> None:
        """Refuse a file that is too long to be read at all."""
        if size > self.file_bytes:
            raise self.refusal("file_bytes", file, f"has {size:,} bytes", "split it into several")

    def check_box(
        self, file: str, sheet: str, height: int, width: int, filled: int | None = None
    ) -> None:
        """Refuse a sheet whose corner-to-corner size would fill the memory."""
        where = f"{file} (sheet {sheet})" if sheet else file
        cells = height * width
        if width > self.columns:
            raise self.refusal(
                "columns", where, f"has {width:,} columns", "delete those not needed"
            )
        thin = filled is not None and cells > self.cells // 4 and filled * 20 < cells
        if cells > self.cells or thin:
            corner = f"{column_letter(width - 1)}{height}"
            held = f" though it holds only {filled:,} cells" if thin else ""
            remedy = "delete the rows and columns beyond the list, and save"
            raise self.refusal("cells", where, f"stretches to cell {corner}{held}", remedy)

    def check_runs(self, file: str, sheet: str, written: int, filled: int) -> None:
        """Refuse a sheet that is little more than repetitions of a few cells."""
        if filled > self.cells // 16 and written * 20 < filled:
            raise self.refusal(
                "cells",
                f"{file} (sheet {sheet})",
                f"repeats {written:,} cells into {filled:,}",
                "delete those beyond the list, and save",
            )

    def refusal(self, name: str, where: str, what: str, remedy: str) -> SpreadsheetError:
        """Say what is too much, how much would be allowed, and what to do."""
        limit: int = getattr(self, name)
        return SpreadsheetError(
            f"{where} {what}, more than is read; {remedy}, or raise the limit "
            f"({name}={limit}; --limit in the shell, limits=Limits(…) in Python)."
        )

"""Files made to do harm, small on disk; ``python -m tests.spreadsheets.hostile FOLDER`` reads each.

Every file is read in this one process, whose memory is bounded by the system, and the most that
each took is measured; the result is one JSON object per file.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from msoffcrypto.format.ooxml import OOXMLFile

from sharekit.core.errors import InputError
from sharekit.spreadsheets.reading import read_inventory
from tests.spreadsheets.corpus.make import (
    HEADER,
    IMAGE,
    PROJECT,
    data,
    line,
    ods,
    plain,
    row,
    said,
    text,
    value,
    xlsx,
)
from tests.spreadsheets.workbooks import by_hand_xlsb, by_openpyxl, by_xlwt

ROWS = [HEADER, [IMAGE, PROJECT, "accepted"]]
GIB = 1 << 30
#: Name of the file -> what its refusal must say.
FILES: dict[str, tuple[str, Callable[[Path], object]]] = {}


def hostile(name: str, says: str) -> Callable[[Callable[[Path], object]], None]:
    """Register the maker of a file."""

    def note(make: Callable[[Path], object]) -> None:
        FILES[name] = (says, make)

    return note


def foreign_dialect(name: str, why: str) -> Callable[[Callable[[Path], object]], None]:
    """Register the maker of a file as no spreadsheet program writes it."""
    sentence = "was not written by a spreadsheet program, and programs would read it differently: "
    return hostile(name, f"{sentence}.*{why}; open it in one, save it anew, and compare the two")


def _with(path: Path, name: str, data: bytes | str) -> None:
    """Replace or add one part of an ordinary workbook."""
    by_openpyxl(path.with_suffix(".tmp"), ROWS)
    with (
        zipfile.ZipFile(path.with_suffix(".tmp")) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for item in old.infolist():
            if item.filename != name:
                new.writestr(item, old.read(item))
        new.writestr(name, data)
    path.with_suffix(".tmp").unlink()


def _deflated(path: Path, name: str, head: bytes, unit: bytes, times: int, told: int = 0) -> None:
    """Put a part of enormous size into a workbook; ``told`` is the size it claims to have."""
    by_openpyxl(path, ROWS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w", force_zip64=False) as part:
            part.write(head)
            for _ in range(times):
                part.write(unit)
        info = archive.getinfo(name)
        info.file_size = told or info.file_size


@hostile("truncated.xlsx", "is cut off")
def _(path: Path) -> None:
    whole = by_openpyxl(path, ROWS).read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])


@hostile("encrypted.xlsx", "password-protected")
def _(path: Path) -> None:
    plain_book = by_openpyxl(path.with_suffix(".tmp"), ROWS)
    with plain_book.open("rb") as source, path.open("wb") as target:
        OOXMLFile(source).encrypt("secret", target)
    plain_book.unlink()


@hostile("zipcrypto.xlsx", "password-protected")
def _(path: Path) -> None:
    whole = bytearray(by_openpyxl(path, ROWS).read_bytes())
    at = whole.find(b"PK\x01\x02")
    while at >= 0:
        whole[at + 8] |= 1
        at = whole.find(b"PK\x01\x02", at + 4)
    path.write_bytes(whole)


@hostile("renamed.xlsx", "a PDF")
def _(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7\n" + bytes(4096))


@hostile("folder.xlsx", "is a directory")
def _(path: Path) -> None:
    path.mkdir()


@hostile("pipe.csv", "is a pipe")
def _(path: Path) -> None:
    os.mkfifo(path)


@hostile("device.csv", "is a device")
def _(path: Path) -> None:
    path.symlink_to("/dev/zero")


@hostile("loop.csv", "cannot be read")
def _(path: Path) -> None:
    path.symlink_to(path)


@hostile("strings.xlsx", "unpacks to")
def _(path: Path) -> None:
    _deflated(path, "xl/sharedStrings2.xml", b"<sst>", b"<si><t>A</t></si>" * (1 << 16), 1024)


@hostile("honest-strings.xlsx", "bytes of texts")
def _(path: Path) -> None:
    noise = zlib.compress(os.urandom(1 << 20), 0).hex().encode()
    unit = b"<si><t>" + noise + b"</t></si>" + bytes(1 << 25)
    _deflated(path, "xl/sharedStrings2.xml", b"<sst>", unit, 16)


@hostile("lying-strings.xlsx", "tells a wrong size")
def _(path: Path) -> None:
    unit = b"<si><t>A</t></si>" * (1 << 16)
    by_openpyxl(path, ROWS)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_suffix(".tmp"), "w") as new:
        for item in old.infolist():
            if item.filename != "xl/sharedStrings.xml":
                new.writestr(item, old.read(item))
    path.with_suffix(".tmp").replace(path)
    _deflated(path, "xl/sharedStrings.xml", b"<sst>", unit, 1024, told=5000)


@hostile("lying-sheet.xlsx", "tells a wrong size|cannot be read")
def _(path: Path) -> None:
    book = xlsx(path, data(row(1, *HEADER), *(plain(i) for i in range(2, 5000))))
    whole = bytearray(book.read_bytes())
    at = whole.rfind(b"xl/worksheets/sheet1.xml")  # in the central directory
    whole[at - 46 + 24 : at - 46 + 28] = struct.pack("<I", 1000)
    path.write_bytes(whole)


@hostile("many-parts.xlsx", "parts")
def _(path: Path) -> None:
    by_openpyxl(path, ROWS)
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(20_000):
            archive.writestr(f"xl/media/{number}.xml", b"")


@hostile("many-sheets.xlsx", "10,000 sheets")
def _(path: Path) -> None:
    xlsx(path, *[data(row(1, *HEADER), plain(2))] * 10_000)


@hostile("twins.xlsx", "has two sheets named Same, so one would be read for both")
def _(path: Path) -> None:
    one, two = (data(row(1, *HEADER), plain(2, image)) for image in (IMAGE, IMAGE[::-1]))
    xlsx(path, one, two, names=("Same", "Same"))


@hostile("twins.ods", "has two sheets named T0")
def _(path: Path) -> None:
    table = line(*HEADER) + line(IMAGE, PROJECT, "accepted")
    ods(path, f'{table}</table:table><table:table table:name="T0">{table}')


@hostile("one-part-many-sheets.xlsx", "under two names")
def _(path: Path) -> None:
    xlsx(path.with_suffix(".tmp"), *[data(row(1, *HEADER), plain(2))] * 900)
    with zipfile.ZipFile(path.with_suffix(".tmp")) as old, zipfile.ZipFile(path, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename.endswith("workbook.xml.rels"):
                content = content.replace(b"sheet2.xml", b"sheet1.xml")
            new.writestr(item, content)
    path.with_suffix(".tmp").unlink()


@hostile("twice.xlsx", "twice")
def _(path: Path) -> None:
    by_openpyxl(path, ROWS)
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("xl/worksheets/sheet1.xml", b"<worksheet/>")


_BOMB = '<!DOCTYPE a [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(12)
)


@hostile("xml-bomb.xlsx", "declares XML entities")
def _(path: Path) -> None:
    _with(
        path,
        "xl/sharedStrings.xml",
        f"<?xml version='1.0'?>{_BOMB}]><sst><si><t>&l;</t></si></sst>",
    )


@hostile("late-bomb.xlsx", "cannot be read|declares")
def _(path: Path) -> None:
    late = f"<?xml version='1.0'?><!--{' ' * 9000}-->{_BOMB}]><Relationships>&l;</Relationships>"
    _with(path, "_rels/.rels", late)


@hostile("xml-bomb.ods", "declares XML entities")
def _(path: Path) -> None:
    ods(path, line(*HEADER) + line(IMAGE, PROJECT, "accepted"))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("content.xml").decode().replace(PROJECT, "&l;")
        kind = archive.read("mimetype")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("content.xml", f"{_BOMB}]>{content}")


@foreign_dialect("row-twice.xlsx", "row 3 is given twice")
def _(path: Path) -> None:
    # A gap makes up for the row too many, so that counting alone would not tell.
    rows = [plain(number) for number in (2, 3, 3, 5)]
    xlsx(path, data(row(1, *HEADER), *rows))


@foreign_dialect("row-twice-in-odd-xml.xlsx", "row 2 is given twice")
def _(path: Path) -> None:
    xlsx(path, data("<!-- odd -->", row(1, *HEADER), plain(2), plain(2)))


@foreign_dialect("cell-twice.xlsx", "cell C2 is given twice")
def _(path: Path) -> None:
    xlsx(path, data(row(1, *HEADER), row(2, IMAGE, PROJECT, "rejected", text("C2", "accepted"))))


@foreign_dialect("cell-twice-by-number.xlsx", "cell C2 is given twice")
def _(path: Path) -> None:
    # Errors and formulas of nothing must not make up for the cell too many.
    odd = value("A3", "#N/A", "e"), '<c r="B3" t="str"><f>""</f><v></v></c>'
    cells = [value(f"{place}2", str(i), "s") for i, place in enumerate("ABCC")]
    texts = "".join(f"<si><t>{t}</t></si>" for t in (IMAGE, PROJECT, "accepted", "rejected"))
    xlsx(path, data(row(1, *HEADER), row(2, *cells), row(3, *odd)), strings=texts)


@foreign_dialect("cell-twice-in-odd-xml.xlsx", "cell B2 is given twice")
def _(path: Path) -> None:
    again = row(2, IMAGE, PROJECT, text("B2", PROJECT))
    xlsx(path, data("<!-- odd -->", row(1, *HEADER), again))


@foreign_dialect("two-values.xlsx", "cell A2 has more than one value")
def _(path: Path) -> None:
    both = f'<c r="A2" t="str"><v>{IMAGE}</v><v>{IMAGE[::-1]}</v></c>'
    xlsx(path, data(row(1, *HEADER), row(2, both, PROJECT, "accepted")))


@foreign_dialect("two-tables.xlsx", "it has two tables of cells")
def _(path: Path) -> None:
    xlsx(path, data(row(1, *HEADER), plain(2), after=data(plain(3))))


@foreign_dialect("odd-place.xlsx", "cell B2 refers to a text by ' 1', which is no number")
def _(path: Path) -> None:
    # Readers take it for the first text of all, which is another ID.
    texts = "".join(f"<si><t>{t}</t></si>" for t in (PROJECT[::-1], PROJECT))
    xlsx(path, data(row(1, *HEADER), row(2, IMAGE, value("B2", " 1", "s"))), strings=texts)


@foreign_dialect(
    "far-place.xlsx", "cell B2 refers to a text by '99999999999999999999', which is no number"
)
def _(path: Path) -> None:
    cell = value("B2", "9" * 20, "s")
    xlsx(path, data(row(1, *HEADER), row(2, IMAGE, cell)), strings=f"<si><t>{PROJECT}</t></si>")


@foreign_dialect("entity-for-a-place.xlsx", "a value has markup in its midst")
def _(path: Path) -> None:
    cell = '<c r="B2" t="s"><v>&#48;</v></c>'
    xlsx(path, data(row(1, *HEADER), row(2, IMAGE, cell)), strings=f"<si><t>{PROJECT}</t></si>")


@foreign_dialect("foreign-texts.xlsx", "holds texts of another vocabulary")
def _(path: Path) -> None:
    # A program that passes over them shows the second text where readers count to the first.
    texts = f"<y:si><y:t>{IMAGE[::-1]}</y:t></y:si><si><t>{IMAGE}</t></si>"
    cells = data(row(1, *HEADER), row(2, value("A2", "0", "s"), PROJECT, "accepted"))
    xlsx(path.with_suffix(".tmp"), cells, strings=texts)
    with zipfile.ZipFile(path.with_suffix(".tmp")) as old, zipfile.ZipFile(path, "w") as new:
        for item in old.infolist():
            told = old.read(item).replace(b"<sst ", b'<sst xmlns:y="urn:other" ')
            new.writestr(item, told)
    path.with_suffix(".tmp").unlink()


@foreign_dialect("foreign-text.xlsx", "holds texts of another vocabulary")
def _(path: Path) -> None:
    # As above, but only the text itself says so.
    texts = f'<si a=">" xmlns="urn:other"><t>{IMAGE[::-1]}</t></si><si><t>{IMAGE}</t></si>'
    cells = data(row(1, *HEADER), row(2, value("A2", "0", "s"), PROJECT, "accepted"))
    xlsx(path, cells, strings=texts)


@foreign_dialect("foreign.xlsx", "row 3 holds elements of another vocabulary")
def _(path: Path) -> None:
    foreign = row(3, IMAGE, PROJECT).replace("<row", '<row xmlns="urn:other"')
    xlsx(path, data(row(1, *HEADER), plain(2), foreign))


@foreign_dialect("number-in-blanks.xlsx", "cell B2 holds '.*', with white space around the value")
def _(path: Path) -> None:
    # Readers take it for text, and 32 digits of a number for an ID.
    xlsx(path, data(row(1, *HEADER), row(2, IMAGE, value("B2", "\n" + "1" * 32))))


@foreign_dialect("spliced.xlsx", "a value has markup in its midst")
def _(path: Path) -> None:
    cell = f'<c r="A2" t="str"><v>{IMAGE}<![CDATA[0]]></v></c>'
    xlsx(path, data(row(1, *HEADER), row(2, cell, PROJECT)))


@foreign_dialect("spliced.ods", "a value has markup in its midst")
def _(path: Path) -> None:
    ods(path, line(*HEADER) + line(f"{IMAGE}<![CDATA[0]]>", PROJECT, "accepted"))


@foreign_dialect("cell-astray.xlsx", "cell C2 stands in row 20,000")
def _(path: Path) -> None:
    rows = [plain(number) for number in range(2, 20_000)]
    xlsx(path, data(row(1, *HEADER), *rows, row(20_000, text("C2", "rejected"))))


@foreign_dialect("cell-twice.xlsb", "cell B2 is given twice")
def _(path: Path) -> None:
    by_hand_xlsb(path, ROWS)
    name = "xl/worksheets/sheet1.bin"
    with zipfile.ZipFile(path) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    third = struct.pack("<II", 2, 0)
    at = parts[name].rindex(third)
    parts[name] = parts[name][:at] + struct.pack("<II", 1, 0) + parts[name][at + 8 :]
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in parts.items():
            archive.writestr(member, content)


@hostile("beyond.xlsx", "has a row 1,048,577, but a sheet ends at row 1,048,576")
def _(path: Path) -> None:
    xlsx(path, data(row(1, *HEADER), plain(2), row(1048577, IMAGE, PROJECT, "accepted")))


@hostile("far.xlsx", "has a row 2,000,000,000, but a sheet ends at row 1,048,576")
def _(path: Path) -> None:
    xlsx(path, data(row(1, *HEADER), plain(2), row(2_000_000_000, IMAGE, PROJECT, "accepted")))


@foreign_dialect("far-in-odd-xml.xlsx", "cell A99999999999 stands in row 3")
def _(path: Path) -> None:
    xlsx(path, data("<!-- odd -->", row(1, *HEADER), row(3, text("A99999999999", IMAGE), PROJECT)))


@foreign_dialect("astray.xlsx", "cell A16000000 stands in row 3")
def _(path: Path) -> None:
    xlsx(path, data(row(1, *HEADER), row(3, text("A16000000", IMAGE), PROJECT, "accepted")))


@foreign_dialect("astray-in-odd-xml.xlsx", "cell XFD1048576 stands in row 3")
def _(path: Path) -> None:
    xlsx(path, data("<!-- odd -->", row(1, *HEADER), row(3, text("xfd1048576", "x"), PROJECT)))


@hostile("merges.xlsx", "merges cells more than 100,000 times")
def _(path: Path) -> None:
    merges = '<mergeCell ref="D5:E6"/>' * 2_500_000
    xlsx(path, data(row(1, *HEADER), plain(2), after=f"<mergeCells>{merges}</mergeCells>"))


@foreign_dialect("attributes.xlsx", "it has a tag of more than 65,536 bytes")
def _(path: Path) -> None:
    many = " ".join(f'x{number}="1"' for number in range(1_000_000))
    cell = f'<c r="D2" {many} t="inlineStr"><is><t>x</t></is></c>'
    xlsx(path, data(row(1, *HEADER), row(2, IMAGE, PROJECT, "accepted", cell)))


@foreign_dialect("columns.xlsx", "it describes more than 16,384 columns")
def _(path: Path) -> None:
    columns = '<col min="1" max="16384" hidden="1" width="3"/>' * 1_000_000
    xlsx(path, data(row(1, *HEADER), plain(2), before=f"<cols>{columns}</cols>"))


@hostile("lost-text.xlsx", "cannot be read as a workbook")
def _(path: Path) -> None:
    lost = row(3, IMAGE, '<c r="B3" s="0" t="s"><v>1</v></c>', "accepted")
    first = row(2, IMAGE, '<c r="B2" t="s"><v>0</v></c>', "accepted")
    table = f"<si><t>{PROJECT}</t></si>"
    xlsx(path, data(row(1, *HEADER), first, lost), strings=table)


@hostile("nul.csv", "line 2001 holds a NUL character")
def _(path: Path) -> None:
    lines = [f"{IMAGE},{PROJECT},accepted"] * 1999 + [f"{IMAGE},\0{PROJECT},accepted"]
    path.write_text("\n".join(["image_id,project_id,status", *lines]))


@hostile("external.xlsx", "declares XML entities")
def _(path: Path) -> None:
    head = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>"
    _with(path, "xl/worksheets/sheet1.xml", f"{head}<worksheet><sheetData/></worksheet>")


@hostile("corner.xlsx", "reaches to cell XFD1048576")
def _(path: Path) -> None:
    xlsx(path, data(row(1, *HEADER), plain(2), row(1048576, value("XFD1048576", "1"))))


@hostile("unordered.xlsx", "reaches to cell XFD999999")
def _(path: Path) -> None:
    last = row(999999, value("XFD999999", "1"))
    xlsx(path, data(row(1, *HEADER), plain(2), last, plain(3)))


@hostile("blanks.ods", "texts of 6,000,000,000 blanks")
def _(path: Path) -> None:
    ods(path, line(said('<text:s text:c="2000000000"/>' * 3)))


@hostile("endless.csv", "has 200,001 columns")
def _(path: Path) -> None:
    path.write_text("image_id" + "," * 200_000 + "\nx\n", encoding="utf-8")


@hostile("damaged.csv", "line 3 holds bytes that are no UTF-8")
def _(path: Path) -> None:
    path.write_bytes("image_id,name\n1,Grüße aus Köln\n2,".encode() + b"\xff\xfe\n")


@foreign_dialect("lying.xlsx", "cell XFD1048576 stands in row 3")
def _(path: Path) -> None:
    xlsx(path, data(row(1, *HEADER), plain(2), row(3, value("XFD1048576", "1"))))


@hostile("quoted.xlsx", "reaches to cell XFD1048576")
def _(path: Path) -> None:
    last = "<row r='1048576'><c r='XFD1048576'><v>1</v></c></row>"
    xlsx(path, data(row(1, *HEADER), plain(2), last))


@hostile("tall.xlsx", "reaches to cell BZ1048576")
def _(path: Path) -> None:
    xlsx(
        path,
        data(
            row(1, *HEADER), plain(2), row(3, text("BZ3", "x")), row(1048576, text("A1048576", "x"))
        ),
    )


@hostile("corner.xlsb", "reaches to cell|cannot be read")
def _(path: Path) -> None:
    by_hand_xlsb(path, [*ROWS, *[[]] * 3000, [*[None] * 16383, 1.0]])
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    sheet = parts["xl/worksheets/sheet1.bin"]
    far = struct.pack("<II", 3002, 0)[:4]
    parts["xl/worksheets/sheet1.bin"] = sheet.replace(far, struct.pack("<I", 1048575))
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)


@hostile("repeated.ods", "reaches to cell")
def _(path: Path) -> None:
    run = said("x", ' table:number-columns-repeated="16384"')
    rows = line(*HEADER) + line(run, more=' table:number-rows-repeated="1048000"')
    ods(path, rows)


@hostile("gap.ods", "reaches to cell")
def _(path: Path) -> None:
    gap = '<table:table-cell table:number-columns-repeated="16000"/>'
    rows = line(*HEADER) + line(gap, more=' table:number-rows-repeated="1000000"') + line(gap, "x")
    ods(path, rows)


@hostile("long-run.ods", "has 1,000,000,003 columns")
def _(path: Path) -> None:
    run = said("x", ' table:number-columns-repeated="1000000000"')
    ods(path, line(*HEADER) + line(IMAGE, PROJECT, "accepted", run))


@hostile("runs.ods", "repeats 505 cells into 8,016,004")
def _(path: Path) -> None:
    run = said("x", ' table:number-columns-repeated="16000"')
    ods(path, line(*HEADER) + line(run) * 501)


@foreign_dialect("never.ods", "it repeats a cell, row or column 0 times")
def _(path: Path) -> None:
    hidden = said("rejected", ' table:number-columns-repeated="0"')
    ods(path, line(*HEADER) + line(IMAGE, PROJECT, hidden, "accepted"))


@foreign_dialect("untyped.ods", "cell B2 shows a text that is not marked as one")
def _(path: Path) -> None:
    bare = f"<table:table-cell><text:p>{PROJECT}</text:p></table:table-cell>"
    ods(path, line(*HEADER) + line(IMAGE, bare, "accepted"))


@hostile("short-runs.ods", "repeats [0-9,]+ cells into|reaches to cell")
def _(path: Path) -> None:
    nine = said("x", ' table:number-columns-repeated="9"')
    rows = line(nine * 3, more=' table:number-rows-repeated="9"') * 20_000
    ods(path, line(*HEADER) + line(IMAGE, PROJECT, "accepted") + rows)


@foreign_dialect("endless-tag.ods", "it has a tag of more than 65,536 bytes")
def _(path: Path) -> None:
    ods(
        path, line(*HEADER) + "<table:table-row" + ' table:number-columns-repeated="99"' * 1_500_000
    )


@foreign_dialect("never-a-row.ods", "it repeats a cell, row or column 0 times")
def _(path: Path) -> None:
    ods(path, line(*HEADER) + line(IMAGE, PROJECT, more=" table:number-rows-repeated='0'"))


@hostile("circle.xls", "cannot be read as an Excel 97-2003 workbook")
def _(path: Path) -> None:
    whole = bytearray(by_xlwt(path, ROWS).read_bytes())
    table = 512 * (1 + struct.unpack_from("<I", whole, 76)[0])
    whole[table : table + 40] = struct.pack("<10I", *[1, 0] * 5)
    path.write_bytes(whole)


@hostile("wide.csv", "columns")
def _(path: Path) -> None:
    path.write_text("Image ID,Project ID\n" + "," * 3_000_000 + "\n" + "a,b\n" * 60_000)


@hostile("thin.csv", "reaches to cell")
def _(path: Path) -> None:
    path.write_text("Image ID,Project ID\n" + "," * 16_000 + "\n" + "a,b\n" * 60_000)


@hostile("line.csv", "has a line 2 of more than")
def _(path: Path) -> None:
    path.write_text("Image ID,Project ID\n" + "x" * 50_000_000)


@hostile("quote.csv", "quotation mark")
def _(path: Path) -> None:
    path.write_text('Image ID,Project ID\n"' + "x,y\n" * 1_000_000)


@hostile("rows.parquet", "reaches to cell")
def _(path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * (1 << 20), pa.int32()), [IMAGE])
    table = pa.table({"Image ID": column})
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(65):
            writer.write_table(table)


@hostile("texts.parquet", "bytes of text")
def _(path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * (1 << 20), pa.int32()), ["x" * 500_000])
    pq.write_table(pa.table({"Image ID": column}), path, store_schema=False)


def read(path: Path) -> dict[str, object]:
    """What reading a file ends in, how long it took, and the most memory this process ever had."""
    started = time.process_time()  # whatever else the machine does
    try:
        read_inventory(path)
        told = "(read)"
    except InputError as error:
        told = str(error)
    # Not ru_maxrss: a child inherits its parent's.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return {"told": told, "seconds": time.process_time() - started, "peak": peak}


def main(folder: Path) -> None:
    """Read every hostile file of a folder."""
    resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, 4 * GIB))
    for name in FILES:
        print(json.dumps({"file": name, **read(folder / name)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Reports: the same counts in every form, nothing from data comes alive, no change unnoticed."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import re
import subprocess
import zipfile
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font

from sharekit.audits.meanings import RESULTS
from sharekit.core.columns import STR
from sharekit.core.errors import InputError, UsageError
from sharekit.core.fields import INPUT_PREFIX
from sharekit.core.outcomes import BY_RANK, OUTCOMES
from sharekit.reports import run_document
from sharekit.reports.outcome_groups import group_outcomes
from sharekit.reports.render import charts, xlsx
from sharekit.reports.render import text as text_format
from sharekit.reports.report import write
from sharekit.reports.run_record import ROW_COLUMNS, Record
from sharekit.reports.verification import saved_workbook
from sharekit.reports.verification.compare import differences
from sharekit.spreadsheets.writing.safe_cells import MAX_CELL
from tests.reports.records import START, record, rows

NAMES = ("audit.xlsx", "audit.html", "outcomes.csv", "outcomes.json")
SHEETS = [
    "Summary", "Who and where", "Glossary", "Rows", "Decisions", "Findings", "Chunks", "Timeline",
]  # fmt: skip
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "|cmd", "＝1", "－1", "'=1")
MARKUP = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></svg></style><b>x",
    "{{ 7 * 7 }} $\\frac{1}{2}$ --> ]]> &lt;",
)


def reports(it: Record, folder: Path) -> dict[str, Path]:
    """Write all four forms."""
    return {path.suffix: path for path in write(it, *(folder / name for name in NAMES))}


def report(it: Record, folder: Path, suffix: str) -> Path:
    """Write one form."""
    [path] = write(it, *(folder / name for name in NAMES if name.endswith(suffix)))
    return path


def read_csv(path: Path) -> pd.DataFrame:
    """Read outcomes.csv as it stands, all text."""
    return pd.read_csv(path, dtype=STR, keep_default_na=False, lineterminator="\n")


def sheet(path: Path, name: str) -> pd.DataFrame:
    """Read a sheet as text, nothing as ''."""
    frame = pd.read_excel(path, sheet_name=name, dtype=STR, engine="calamine",
                          keep_default_na=False)  # fmt: skip
    return frame.fillna("")


def poisoned(values: tuple[str, ...], count: int = 44) -> Record:
    """Return a record whose every text, in every frame, is one of the values (IDs included)."""
    clean = record(count)

    def spoil(frame: pd.DataFrame, keep: tuple[str, ...]) -> pd.DataFrame:
        texts = [n for n in frame if frame[n].dtype == STR and n not in keep]
        cycle = [values[i % len(values)] for i in range(len(frame))]
        return frame.assign(**{name: pd.Series(cycle, frame.index, dtype=STR) for name in texts})

    kept = {"rows": ("outcome",), "chunks": ("chunk",)}
    frames = {
        field.name: spoil(getattr(clean, field.name), kept.get(field.name, ()))
        for field in dataclasses.fields(Record)
        if isinstance(getattr(clean, field.name), pd.DataFrame)
    }
    environment = {f"cloud {n}{value}": value for n, value in enumerate(values)}
    return dataclasses.replace(clean, **frames, environment=environment)


# -- the same record, the same report ----------------------------------------------------------
def test_counts_agree_in_every_form(tmp_path: Path) -> None:
    """Summary, Rows, page, CSV and JSON name the same number of rows for every outcome."""
    it = record(300)
    made = reports(it, tmp_path)
    data = json.loads(made[".json"].read_text("utf-8"))
    summary = pd.read_excel(made[".xlsx"], sheet_name="Summary", header=None, engine="calamine")
    listed = zip(summary[0], summary[1], strict=True)
    told = dict(reversed([*listed]))  # of several lines of one name the first: that of Outcomes
    page = made[".html"].read_text("utf-8")
    listed = re.findall(r'--(\w+)\)">\w+</span></th><td class="n">(?:<a[^>]*>)?([\d,]+)', page)
    listed = listed[: len(it.counts)]  # those of Outcomes come first
    nonzero = {name: n for name, n in it.counts.items() if n}
    assert data["counts"] == it.counts
    assert {name: int(told[name]) for name in it.counts} == it.counts
    assert {name: int(n.replace(",", "")) for name, n in listed} == it.counts
    assert Counter(row["outcome"] for row in data["rows"]) == nonzero
    assert Counter(read_csv(made[".csv"])["outcome"]) == nonzero
    assert Counter(sheet(made[".xlsx"], "Rows")["outcome"]) == nonzero
    assert int(told["all rows"]) == len(it.rows) == sum(it.counts.values())


def test_columns_are_the_contract_in_every_form(tmp_path: Path) -> None:
    """CSV, JSON and Rows have the agreed columns in order, then the original ones."""
    made = reports(record(5), tmp_path)
    wanted = [*ROW_COLUMNS, "input.Image UUID", "input.Comment"]
    assert read_csv(made[".csv"]).columns.tolist() == wanted
    assert list(json.loads(made[".json"].read_text("utf-8"))["rows"][0]) == wanted
    assert sheet(made[".xlsx"], "Rows").columns.tolist() == wanted
    described = [name for name in run_document.COLUMNS if not name.startswith(INPUT_PREFIX)]
    assert tuple(described) == ROW_COLUMNS


def test_rows_are_the_records_in_its_order(tmp_path: Path) -> None:
    """Every value of every row stands in CSV, JSON and Rows as it stands in the record."""
    it = record(50)
    made = reports(it, tmp_path)
    wanted = it.rows.astype(STR).reset_index(drop=True)
    from_json = pd.DataFrame(json.loads(made[".json"].read_text("utf-8"))["rows"]).astype(STR)
    for found in (read_csv(made[".csv"]), sheet(made[".xlsx"], "Rows"), from_json):
        pd.testing.assert_frame_equal(found.astype(STR), wanted)


def test_same_record_gives_same_bytes(tmp_path: Path) -> None:
    """No clock and no chance changes one byte."""
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    made = reports(record(40), first)
    again = reports(record(40), second)
    for suffix, path in made.items():
        assert path.read_bytes() == again[suffix].read_bytes(), suffix


@pytest.mark.parametrize("count", [0, 1])
def test_smallest_records(tmp_path: Path, count: int) -> None:
    """A run of no rows, or of one, has all four reports, and they match."""
    it = record(count, reviews=record(3).reviews.head(0), findings=record(3).findings.head(0))
    for path in reports(it, tmp_path).values():
        assert differences(it, path) == []


# -- nothing from data comes alive -------------------------------------------------------------
def test_formulas_are_inert_in_xlsx(tmp_path: Path) -> None:
    """No part of the workbook holds a formula or a link to elsewhere; each text reads back raw."""
    it = poisoned(FORMULAS)
    path = report(it, tmp_path, ".xlsx")
    with zipfile.ZipFile(path) as parts:
        sheets = [parts.read(name) for name in parts.namelist() if "worksheets/sheet" in name]
    assert not any(re.search(rb"<f[ >]", part) for part in sheets)
    links = [link for part in sheets for link in re.findall(rb"<hyperlink .*?>", part)]
    place = rb"location=\"'(%s)'![A-Z]+\d+(:[A-Z]+\d+)?\"" % "|".join(SHEETS).encode()
    assert links
    assert all(re.search(place, link) and b"r:id" not in link for link in links)
    book = openpyxl.load_workbook(path)
    kinds = {cell.data_type for tab in book for line in tab.iter_rows() for cell in line}
    assert kinds <= {"s", "n", "inlineStr"}
    found = sheet(path, "Rows")
    for name in (*ROW_COLUMNS, "input.Comment"):
        assert found[name].tolist() == it.rows[name].astype(STR).tolist(), name


def test_formulas_are_inert_in_csv(tmp_path: Path) -> None:
    """No cell begins with what a spreadsheet calculates, and each text can be had back."""
    it = poisoned(FORMULAS)
    table = pyarrow.csv.read_csv(
        report(it, tmp_path, ".csv"),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(it.rows.columns, pa.string())
        ),
    )
    for name in it.rows.columns.drop("row"):
        cells = table[name].to_pylist()
        assert not any(re.match(r"[=+\-@|\t\r\n＝＋－＠]", cell) for cell in cells), name
        back = text_format.unescape(table[name]).to_pylist()
        assert back == it.rows[name].tolist(), name


@given(st.lists(st.text(st.sampled_from("'=+-@|\t\r\nab＝é") | st.characters(codec="utf-8"))))
def test_csv_escape_is_reversible_and_inert(texts: list[str]) -> None:
    """Any text survives escaping, and none comes out of it active."""
    column = pa.chunked_array([pa.array(texts, pa.string())])
    escaped = text_format.escape(column)
    assert text_format.unescape(escaped).to_pylist() == texts
    assert not any(re.match(r"[=+\-@|\t\r\n＝＋－＠]", text) for text in escaped.to_pylist())


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1))
def test_json_keeps_any_text(texts: list[str]) -> None:
    """Control characters, slashes and quotes come back from JSON as they were."""
    file = io.StringIO()
    text_format.json_array(pd.DataFrame({"a/b": pd.Series(texts, dtype=STR)}), file)
    assert [row["a/b"] for row in json.loads(file.getvalue())] == texts


class Page(HTMLParser):
    """The elements, ids, links and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]


def parsed(text: str) -> Page:
    """Parse a page."""
    page = Page()
    page.feed(text)
    page.close()
    return page


def test_markup_is_inert_in_html(tmp_path: Path) -> None:
    """Markup in every value adds no element, and the page shows it as text."""
    dirty = report(poisoned(MARKUP), tmp_path, ".html").read_text("utf-8")
    clean = report(poisoned(("plain", "words", "only", "here")), tmp_path, ".html")
    page = parsed(dirty)
    usual = parsed(clean.read_text("utf-8"))
    assert set(page.tags) == set(usual.tags)
    for tag in ("b", "title", "svg", "style", "table", "td", "a", "meta"):
        assert page.tags[tag] == usual.tags[tag], tag
    assert not any(name.startswith("on") or name == "src" for name, _ in page.attributes)
    assert all(html.escape(text, quote=False) in dirty.replace("&#34;", '"').replace("&#39;", "'")
               for text in MARKUP)  # fmt: skip


def test_html_stands_alone(tmp_path: Path) -> None:
    """The page has no script, loads nothing, forbids both, and no two elements share an id."""
    text = report(record(60), tmp_path, ".html").read_text("utf-8")
    page = parsed(text)
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(page.tags)
    assert "default-src 'none'" in text
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}
    assert all(link.startswith("#") for link in page.values("href"))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    linked = page.values("href") + [f"#{name}" for name in page.values("aria-labelledby")]
    assert {link[1:] for link in linked} <= set(ids)


def test_invisible_characters_are_spelled_out_in_html(tmp_path: Path) -> None:
    """What hides or reorders text is shown by name on the page."""
    table = rows(3, reason="\u202egpj.exe\u200b\x00\xa0\ufeff", outcome="failed", code="")
    text = report(record(table=table), tmp_path, ".html").read_text("utf-8")
    assert "[U+202E]gpj.exe[U+200B]␀[U+00A0][U+FEFF]" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ufeff]", text)


def test_odd_characters_survive_xlsx(tmp_path: Path) -> None:
    """Control characters, Excel's own escapes and blanks around read back as they were."""
    odd = " a\x00\x01\x1f\r\nb_x0041_\t🙂 "
    it = record(table=rows(4, **{"input.Comment": odd}))
    path = report(it, tmp_path, ".xlsx")
    assert sheet(path, "Rows")["input.Comment"].tolist() == [odd] * 4
    assert differences(it, path) == []


# -- what a workbook and a page cannot hold ----------------------------------------------------
def test_long_texts_are_cut_and_listed(tmp_path: Path) -> None:
    """A text beyond Excel's limit, counted as Excel counts, is cut visibly and named."""
    table = rows(3).assign(reason=["x" * 32_767, "x" * 32_768, "🙂" * 16_384])
    path = report(record(table=table), tmp_path, ".xlsx")
    cells = sheet(path, "Rows")["reason"]
    assert cells[0] == table["reason"][0]
    for cell in cells[1:]:
        assert len(cell.encode("utf-16-le")) // 2 <= MAX_CELL
        assert cell.endswith("all of it: 32,768]")
    told = pd.read_excel(path, sheet_name="Who and where", header=None, engine="calamine")[0]
    assert [text for text in told.dropna() if "!" in text] == ["Rows!J3", "Rows!J4"]


def test_more_rows_than_a_sheet_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows continue on further sheets, each with a header, none lost."""
    monkeypatch.setattr(xlsx, "ROWS", 20)
    it = record(45)
    path = report(it, tmp_path, ".xlsx")
    parts = [sheet(path, name) for name in ("Rows", "Rows (2)", "Rows (3)")]
    assert [len(part) for part in parts] == [20, 20, 5]
    assert pd.concat(parts)["image_id"].tolist() == it.rows["image_id"].tolist()
    assert differences(it, path) == []


def test_page_is_short_and_shows_problems_first(tmp_path: Path) -> None:
    """500 rows make less than 1.5 MB, and the first rows are those that need a person."""
    path = report(record(500), tmp_path, ".html")
    text = path.read_text("utf-8")
    listed = text[text.index('id="rows"') :]
    shown = re.findall(r"var\(--(\w+)", listed)
    assert path.stat().st_size < 1_500_000
    assert list(dict.fromkeys(shown))[:4] == list(BY_RANK[:4])
    assert listed.count('<tr id="rows-') == 500


def test_page_lists_a_thousand_rows_and_says_so(tmp_path: Path) -> None:
    """Of 1,200 rows the page lists 1,000, and says where the others are."""
    text = report(record(1_200), tmp_path, ".html").read_text("utf-8")
    assert text.count('<tr id="rows-') == 1_000
    assert "1,000 of 1,200 lines are shown here; the workbook has all of them." in text


# -- words and pictures ------------------------------------------------------------------------
def test_rejected_is_never_no_access(tmp_path: Path) -> None:
    """Page and workbook say that servers can still be created from a rejected image."""
    made = reports(record(20), tmp_path)
    book = openpyxl.load_workbook(made[".xlsx"])
    cells = [str(cell.value) for tab in book for line in tab.iter_rows() for cell in line]
    for text in (made[".html"].read_text("utf-8"), "\n".join(cells)):
        assert "servers can still be created from" in text
        assert not re.search("no access|access (was|is) (removed|revoked|denied)", text, re.I)


def test_sheets_are_all_there(tmp_path: Path) -> None:
    """The workbook has its eight sheets; tables have filters and a header that stays."""
    book = openpyxl.load_workbook(report(record(9), tmp_path, ".xlsx"))
    assert book.sheetnames == SHEETS
    for name in ("Rows", "Decisions", "Findings", "Chunks", "Timeline"):
        assert book[name].freeze_panes == "A2"
        assert book[name].auto_filter.ref
    assert str(book.properties.created) == "2026-07-01 08:57:00"


@pytest.mark.parametrize(
    ("counts", "finished", "wanted"),
    [
        ({}, True, "The input has no rows."),
        ({"confirmed": 1}, True, "The only row is settled: 1 confirmed."),
        ({"confirmed": 2000}, True, "All 2,000 rows are settled: 2,000 confirmed."),
        ({"failed": 1}, True, "1 row of 1 needs attention: 1 failed."),
        (
            {"confirmed": 3, "pending": 2},
            False,
            "2 rows of 5 need attention: 2 pending. Settled: 3 confirmed. "
            "The run is not finished; submitting it again goes on where it stopped.",
        ),
    ],
)
def test_headline(counts: dict[str, int], finished: bool, wanted: str) -> None:
    """The first sentence says what became of the run."""
    all_counts = dict.fromkeys(OUTCOMES, 0) | counts
    assert run_document.headline(record(1, counts=all_counts, finished=finished)) == wanted


def test_every_outcome_has_its_colours() -> None:
    """Every outcome and every result has a colour, and no two outcomes share one."""
    colors = [outcome.color for outcome in OUTCOMES.values()]
    assert len(set(colors)) == len(OUTCOMES)
    assert {result.color for result in RESULTS.values()} <= set(colors)
    assert sorted(outcome.rank for outcome in OUTCOMES.values()) == list(range(1, 11))


def test_pictures_are_well_formed_and_described() -> None:
    """The picture is XML with a description, in the page's own colours."""
    chart = run_document.progress(record(80).chunks)
    assert chart is not None
    svg = charts.draw_chart(chart)
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert len(root.attrib["aria-label"]) > 20
    assert "var(--" in svg
    assert "#" not in svg


def test_split_chunks_count_once_in_the_timeline() -> None:
    """Images of a chunk that was split are sent once and answered once."""
    chunk = record(1, table=rows(4, outcome="confirmed")).chunks
    names = {"7": (8, 0, True), "7.1": (4, 2, True), "7.2": (4, 2, False), "7.2.1": (2, 4, True),
             "7.2.2": (2, 4, True), "8": (5, 1, True)}  # fmt: skip
    parts = []
    for name, (images, second, sent) in names.items():
        at = START + pd.Timedelta(seconds=second)
        ended = at + pd.Timedelta(seconds=1)
        parts.append(chunk.assign(chunk=name, images=images, first_sent=at if sent else pd.NaT,
                                  ended=ended))  # fmt: skip
    split = pd.concat(parts, ignore_index=True).astype(chunk.dtypes.to_dict())
    chart = run_document.progress(split)
    assert chart is not None
    assert "13 images sent" in chart.description
    assert "13 of them answered" in chart.description


def test_nothing_sent_and_nothing_wrong_need_no_picture(tmp_path: Path) -> None:
    """Where there is nothing to draw the page says so in a sentence."""
    it = record(table=rows(5, outcome="already", code="", chunk=""))
    text = report(it, tmp_path, ".html").read_text("utf-8")
    assert "No request was sent." in text
    assert "every row is settled" in text
    assert "svg" not in parsed(text).tags


def test_reasons_are_counted_by_code() -> None:
    """What is open is grouped by outcome and code, the most frequent first, in plain words."""
    table = rows(6).assign(
        outcome=["failed"] * 3 + ["blocked"] * 2 + ["confirmed"],
        code=["IMG.0184", "IMG.0144", "IMG.0144", "", "", ""],
        reason=["a", "b", "c", "hidden", "hidden", ""],
    )
    found = group_outcomes(table).unsettled()[["outcome", "code", "reason", "rows"]]
    assert found.to_numpy().tolist() == [
        ["failed", "IMG.0144", "the image does not exist", 2],
        ["failed", "IMG.0184", "the project has no such vault", 1],
        ["blocked", "", "hidden", 2],
    ]


# -- files -------------------------------------------------------------------------------------
def test_unknown_suffix_names_the_four(tmp_path: Path) -> None:
    """A form that does not exist is refused before anything is written."""
    with pytest.raises(UsageError, match=r"\.xlsx, \.html, \.csv, \.json"):
        write(record(2), tmp_path / "outcomes.csv", tmp_path / "audit.pdf")
    assert list(tmp_path.iterdir()) == []


def test_missing_directory_is_named(tmp_path: Path) -> None:
    """A directory that does not exist is refused before anything is written."""
    with pytest.raises(InputError, match="no directory"):
        write(record(2), tmp_path / "outcomes.csv", tmp_path / "no" / "audit.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["audit.xlsx", "audit.html"])
def test_a_report_that_fails_leaves_the_old_one(tmp_path: Path, name: str) -> None:
    """If making a report breaks off, the file before it is untouched and nothing is left over."""
    path = tmp_path / name
    path.write_bytes(b"the old report")
    with pytest.raises(KeyError):
        write(record(2, counts={"nonsense": 2}), path)
    assert path.read_bytes() == b"the old report"
    assert list(tmp_path.iterdir()) == [path]


def test_who_reads_the_old_report_goes_on_reading_it(tmp_path: Path) -> None:
    """A report is replaced as a whole, never rewritten under a reader."""
    path = report(record(3), tmp_path, ".csv")
    old = path.read_bytes()
    with path.open("rb") as reader:
        report(record(9), tmp_path, ".csv")
        assert reader.read() == old
    assert path.read_bytes() != old


# -- no change unnoticed -----------------------------------------------------------------------
def test_fresh_reports_do_not_differ(tmp_path: Path) -> None:
    """What was just written is what the record says."""
    it = poisoned(FORMULAS + MARKUP)
    for path in reports(it, tmp_path).values():
        assert differences(it, path) == []


@pytest.mark.parametrize("suffix", [".csv", ".json", ".html"])
def test_a_changed_line_is_named(tmp_path: Path, suffix: str) -> None:
    """One changed outcome is found, with its line, what it says and what it should say."""
    it = record(40)
    path = report(it, tmp_path, suffix)
    lines = path.read_bytes().split(b"\n")
    number = max(n for n, line in enumerate(lines) if b"blocked" in line)
    lines[number] = lines[number].replace(b"blocked", b"confirmed")
    path.write_bytes(b"\n".join(lines))
    [(where, what)] = differences(it, path)
    assert where == f"{path.name}, line {number + 1}"
    assert "confirmed" in what
    assert "blocked" in what


@pytest.mark.parametrize("suffix", [".csv", ".json", ".html", ".xlsx"])
def test_a_report_cut_short_or_too_long_is_found(tmp_path: Path, suffix: str) -> None:
    """A missing or an additional end does not pass."""
    it = record(10)
    path = report(it, tmp_path, suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert differences(it, path)
    path.write_bytes(b"")
    assert differences(it, path)
    if suffix != ".xlsx":
        path.write_bytes(whole + b"x")
        assert "too long" in differences(it, path)[0][1]


def test_a_page_of_other_versions_is_told_apart(tmp_path: Path) -> None:
    """If other versions made the page, the difference says so."""
    it = record(3)
    path = report(it, tmp_path, ".html")
    text = path.read_text("utf-8")
    path.write_text(text.replace('content="sharekit 0', 'content="sharekit 9'), "utf-8")
    assert "made by other versions" in differences(it, path)[0][1]


def resave(path: Path, change: object) -> None:
    """Open the workbook as a user would, change it, and save it."""
    book = openpyxl.load_workbook(path)
    change(book)  # type: ignore[operator]
    book.save(path)


def test_a_workbook_saved_again_does_not_differ(tmp_path: Path) -> None:
    """Merely saving in another program changes bytes, but no cell."""
    it = record(30)
    path = report(it, tmp_path, ".xlsx")
    before = path.read_bytes()
    resave(path, lambda book: None)
    assert path.read_bytes() != before
    assert differences(it, path) == []


@pytest.mark.needs("soffice")
def test_a_workbook_saved_by_libreoffice_does_not_differ(tmp_path: Path) -> None:
    """LibreOffice writes every part of a workbook anew; what a person sees of it stays."""
    it = record(30)
    path = report(it, tmp_path, ".xlsx")
    home, out = (tmp_path / "home").as_uri(), tmp_path / "saved"
    command = ["soffice", f"-env:UserInstallation={home}", "--headless", "--convert-to", "xlsx",
               "--outdir", str(out), str(path)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert (out / path.name).read_bytes() != path.read_bytes()
    assert differences(it, out / path.name) == []


@pytest.mark.parametrize("name", SHEETS)
def test_an_edited_cell_is_found_on_every_sheet(tmp_path: Path, name: str) -> None:
    """The last cell of each sheet, and one far outside it, cannot be edited unnoticed."""
    it = record(30)
    path = report(it, tmp_path, ".xlsx")
    cells = [c for line in openpyxl.load_workbook(path)[name].iter_rows() for c in line if c.value]
    last = cells[-1].coordinate

    def change(book: openpyxl.Workbook) -> None:
        book[name][last] = "edited"
        book[name]["AZ400"] = "added"

    resave(path, change)
    found = dict(differences(it, path))
    assert set(found) == {f"audit.xlsx, {name}!{last}", f"audit.xlsx, {name}!AZ400"}
    assert "says “edited”" in found[f"audit.xlsx, {name}!{last}"]


CHANGES = {
    "holds a formula": lambda book: book["Rows"].__setitem__("H3", '="confirmed"'),
    "is missing": lambda book: book.remove(book["Chunks"]),
    "not part of the report": lambda book: book.create_sheet("More"),
    "is hidden": lambda book: setattr(book["Findings"], "sheet_state", "hidden"),
    "“#N/A”": lambda book: book["Rows"].__setitem__("G3", "#N/A"),
    "should say nothing": lambda book: book["Rows"].__setitem__("AB1", 0),
    "says nothing": lambda book: book["Rows"].delete_rows(31),
}


def _format(book: openpyxl.Workbook, code: str) -> None:
    book["Rows"]["H3"].number_format = code


#: What changes no value of a cell, but whether or how it is displayed; and how it is named.
DISPLAYED = {
    """Rows: H3 is displayed with the number format ';;;"confirmed"'""": lambda book: _format(
        book, ';;;"confirmed"'
    ),
    """Rows: H3 is displayed with the number format '"0"'""": lambda book: _format(book, '"0"'),
    "Rows: row 3 is hidden": lambda book: setattr(book["Rows"].row_dimensions[3], "hidden", True),
    "Rows: row 4 is hidden": lambda book: setattr(book["Rows"].row_dimensions[4], "height", 0.1),
    "Rows: columns 9 to 9 are hidden": lambda book: setattr(
        book["Rows"].column_dimensions["I"], "hidden", True
    ),
    "Rows: holds a conditional format": lambda book: book["Rows"].conditional_formatting.add(
        "H2:H9", CellIsRule("equal", ['"failed"'], font=Font())
    ),
}


@pytest.mark.parametrize("told", DISPLAYED)
def test_what_is_only_displayed_otherwise_is_found(tmp_path: Path, told: str) -> None:
    """Hidden rows and columns and other number formats do not pass for intact."""
    it = record(30)
    path = report(it, tmp_path, ".xlsx")
    resave(path, DISPLAYED[told])
    found = [": ".join(pair) for pair in differences(it, path)]
    assert any(told in one for one in found), found


def test_our_own_faults_are_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An IndexError of our own code while a workbook is compared comes out as it is."""
    it = record(5)
    path = report(it, tmp_path, ".xlsx")
    resave(path, lambda book: None)

    def faulty(*_: object) -> bool:
        raise IndexError("planted")

    monkeypatch.setattr(saved_workbook, "_is_hidden", faulty)
    with pytest.raises(IndexError, match="planted"):
        differences(it, path)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".html"])
def test_what_cannot_be_seen_is_spelled_out(tmp_path: Path, suffix: str) -> None:
    """Where two lines differ in their ends alone, the difference shows how."""
    it = record(9)
    path = report(it, tmp_path, suffix)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\n", b"\r\n"))
    ((_, what),) = differences(it, path)
    says, should = what.removeprefix("says ").split(", should say ")
    assert says != should
    assert "\\r\\n" in says + should


@pytest.mark.parametrize("told", CHANGES)
def test_other_changes_of_a_workbook_are_found(tmp_path: Path, told: str) -> None:
    """Formulas, error values, and added, removed or hidden sheets and rows are named."""
    it = record(30)
    path = report(it, tmp_path, ".xlsx")
    resave(path, CHANGES[told])
    assert any(told in what for _, what in differences(it, path))


def test_many_differences_are_counted(tmp_path: Path) -> None:
    """A report of another run is not listed cell by cell to the end."""
    path = report(record(100), tmp_path, ".xlsx")
    found = differences(record(table=rows(100, seed=2)), path)
    assert len(found) == 51
    assert re.search(r"[\d,]+ further differences", found[-1][1])


def test_a_missing_report_is_misuse(tmp_path: Path) -> None:
    """A report that does not exist is not a difference but a mistake in the call."""
    with pytest.raises(InputError, match="no such file"):
        differences(record(1), tmp_path / "audit.html")


def test_every_number_leads_to_its_rows_in_html(tmp_path: Path) -> None:
    """Each count links to the first of exactly so many rows that stand together on the page."""
    it = record(300)
    text = report(it, tmp_path, ".html").read_text("utf-8")
    listed = text[text.index('id="rows"') :]
    lines = re.findall(r'<tr id="(rows-\d+)">.*?--(\w+)\)', listed, re.DOTALL)
    places = {name: place for place, (name, _) in enumerate(lines)}
    outcomes = [outcome for _, outcome in lines]
    assert Counter(outcomes) == {name: n for name, n in it.counts.items() if n}
    for name, count in it.counts.items():
        link = rf'--{name}\)">{name}</span></th><td class="n"><a href="#(rows-\d+)">{count}</a>'
        found = re.search(link, text)
        assert (found is not None) == bool(count), name
        if found:
            assert outcomes[places[found[1]] :].count(name) >= 1
            assert outcomes[places[found[1]]] == name
    groups = group_outcomes(it.rows).table
    started = text[text.index("about-before-and-after") : text.index("about-input")]
    for number, link in re.findall(r'<a href="#(rows-\d+)">(\d+)</a>', started):
        start = places[number]
        assert len(set(outcomes[start : start + int(link)])) == 1
    assert groups.groupby("outcome")["rows"].sum().to_dict() == {
        n: c for n, c in it.counts.items() if c
    }


def led_to(book: openpyxl.Workbook, cell: openpyxl.cell.Cell) -> list[openpyxl.cell.Cell]:
    """The cells that a link leads to."""
    name, _, address = cell.hyperlink.location.rpartition("!")
    first, _, last = address.partition(":")
    return [one for [one] in book[name.strip("'")][f"{first}:{last or first}"]]


def test_every_number_leads_to_its_rows_in_xlsx(tmp_path: Path) -> None:
    """A count leads to the first of its rows; findings, decisions and chunks to theirs."""
    it = record(300)
    book = openpyxl.load_workbook(report(it, tmp_path, ".xlsx"))
    tab = book["Rows"]
    for line in book["Summary"].iter_rows(max_col=2):
        if line[0].value in it.counts and line[1].value:
            assert line[0].hyperlink.location == line[1].hyperlink.location
            [place] = led_to(book, line[1])
            assert tab.cell(place.row, 8).value == line[0].value
    for name, column in (("Findings", "E"), ("Decisions", "I")):
        cells = [cell for cell in book[name][column][1:] if cell.hyperlink]
        assert cells
        assert all(tab.cell(led_to(book, cell)[0].row, 3).value == cell.value for cell in cells)
    for cell in book["Chunks"]["G"][1:]:
        [place] = led_to(book, cell)
        assert tab.cell(place.row, 14).value == book["Chunks"].cell(cell.row, 1).value


def test_a_link_follows_its_column(tmp_path: Path) -> None:
    """Where a column comes before the one that a number leads to, the link moves with it."""
    it = record(30)
    chunks = it.chunks[["attempts", *it.chunks.columns.drop("attempts")]]
    moved = replace(it, chunks=chunks)
    for one, column in ((it, "I1"), (moved, "A1")):
        book = openpyxl.load_workbook(report(one, tmp_path, ".xlsx"))
        lines = {line[0].value: line[1] for line in book["Summary"].iter_rows()}
        assert lines["submit"].hyperlink.location == f"'Chunks'!{column}"
        assert book["Chunks"][column].value == "attempts"


def test_places_beyond_a_sheet_are_on_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to a row that has no room on Rows leads to its place on a further sheet."""
    monkeypatch.setattr(xlsx, "ROWS", 20)
    it = record(45)
    book = openpyxl.load_workbook(report(it, tmp_path, ".xlsx"))
    seen = set()
    for cell in book["Findings"]["E"][1:]:
        [place] = led_to(book, cell)
        assert place.parent.cell(place.row, 3).value == cell.value
        seen.add(place.parent.title)
    assert seen == {"Rows", "Rows (2)", "Rows (3)"}


def test_a_link_to_elsewhere_is_found(tmp_path: Path) -> None:
    """A cell that was made to lead out of the workbook is a difference, though it says the same."""
    it = record(5)
    path = report(it, tmp_path, ".xlsx")

    def lure(book: openpyxl.Workbook) -> None:
        book["Summary"]["A1"].hyperlink = "https://example.com/"

    resave(path, lure)
    link, markup = [what for _, what in differences(it, path)]
    assert link == "holds a link to elsewhere; a report has none"
    assert markup.startswith("cannot be compared: xl/worksheets/sheet1.xml holds r:id=")


def test_a_group_does_not_quote_one_row(tmp_path: Path) -> None:
    """Where rows of a group have different reasons, its head has none of their details."""
    frame = rows(2).assign(outcome="blocked", code="conflict", run="")
    frame["reason"] = ["conflict (rejected in D180)", "conflict (accepted in D9)"]
    assert group_outcomes(frame).table["reason"].tolist() == ["conflict (each row tells its own)"]


def test_requests_lead_to_where_they_stand(finished_run: Path) -> None:
    """What was sent, and what was only counted, leads to the lines that add up to it."""
    tab = openpyxl.load_workbook(finished_run / "audit.xlsx")
    lines = {line[0].value: line[1] for line in tab["Summary"].iter_rows()}
    sheet, _, cell = lines["submit"].hyperlink.location.replace("'", "").partition("!")
    column = [one.value for one in tab[sheet][cell[0]]]
    assert column[0] == "attempts"
    assert sum(column[1:]) == lines["submit"].value > 0
    timeline = tab["Timeline"].iter_rows(values_only=True)
    told = [line for line in timeline if line[1] == "requests_counted"]
    for kind in ("poll", "read"):
        numbers = [re.search(rf"(\d+) {kind}", line[4]) for line in told]
        assert sum(int(one[1]) for one in numbers if one) == lines[kind].value > 0
        [place] = led_to(tab, lines[kind])
        assert tab["Timeline"].cell(place.row, 2).value == "requests_counted"

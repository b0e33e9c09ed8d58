"""Input that was changed at random, and what must come of it: an answer, or one sentence.

Three targets, each a function of a :class:`Chooser`, which hypothesis (``tests/test_fuzzing.py``)
or atheris (``python -m tests.fuzz``) drives. Anything raised but ``SharekitError`` is a fault.
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import requests

import sharekit
from sharekit.clouds import cloud, responses
from sharekit.clouds.http import Reply, Transport
from sharekit.core.errors import SharekitError
from sharekit.core.frame_schemas import FrameSchema
from sharekit.interfaces.review import Review
from sharekit.ledger import parquet
from sharekit.ledger.hashing import canonical_json, event_hash
from sharekit.ledger.integrity import BLOB_FIELDS
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.tables import DEFINITIONS, FORMAT
from sharekit.plans import approval, steps
from tests.spreadsheets import workbooks as workbooks_by

TRIGGERS = tuple(sql for sql in DEFINITIONS[FORMAT] if sql.startswith("CREATE TRIGGER"))
#: Returns a number from 0 to one below its argument.
Chooser = Callable[[int], int]
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1, 10**30, -(2**63), 1.5, 1e308, "", "x", "0" * 64, "\x00", "1",
    "<script>alert(1)</script>", "=1+1", "../../etc/passwd", "2026-13-99T99:99:99Z", [], {}, [[]],
    ["x"], {"x": "y"}, {"x": {"x": {}}}, "accepted", "\u202e", "a" * 40_000,
)  # fmt: skip


def one_sentence(error: SharekitError) -> None:
    """What people get to see: a line, of a length that can be read."""
    assert "\n" not in str(error)
    assert len(str(error)) < 2_500


def pick(choose: Chooser, values: Any) -> Any:
    """One of some values."""
    values = list(values)
    return values[choose(len(values))]


def bent(value: Any, choose: Chooser) -> Any:
    """A value of JSON with one place in it changed."""
    if isinstance(value, dict) and value and choose(4):
        name = pick(choose, sorted(value))
        how = choose(8)
        if how == 0:
            return {k: v for k, v in value.items() if k != name}
        return {**value, name: bent(value[name], choose)}
    if isinstance(value, list) and value and choose(4):
        at, how = choose(len(value)), choose(8)
        middle = [] if how == 0 else [value[at]] * 2 if how == 1 else [bent(value[at], choose)]
        return [*value[:at], *middle, *value[at + 1 :]]
    return pick(choose, ODD)


# -- ledgers -------------------------------------------------------------------------------------
def forge(original: Path, forged: Path, change: Callable[[list[list[Any]], Book], None]) -> None:
    """Write a ledger anew after a change, with every hash as if it were our own."""
    shutil.copy(original, forged)
    database = sqlite3.connect(forged)
    database.execute("PRAGMA ignore_check_constraints = ON")
    database.execute("PRAGMA synchronous = OFF")
    for trigger in TRIGGERS:
        database.execute(f"DROP TRIGGER {trigger.split()[2]}")
    events = [[at, kind, json.loads(body)] for at, kind, body in
              database.execute("SELECT at, kind, body FROM events ORDER BY seq")]  # fmt: skip
    book = Book(database)
    change(events, book)
    database.execute("DELETE FROM events")
    head = "0" * 64
    for seq, (at, kind, body) in enumerate(events, 1):
        text = body if isinstance(body, str) else canonical_json(body)
        link = event_hash(seq, str(at), str(kind), text, head)
        line = (seq, at, kind, text, head, link)
        database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", line)
        head = link
    for trigger in TRIGGERS:
        database.execute(trigger)
    database.commit()
    database.close()


class Book:
    """The blobs of a ledger that is being forged."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def get(self, name: str) -> bytes:
        """A blob by its name."""
        found = self.database.execute("SELECT content FROM blobs WHERE sha256 = ?", (name,))
        return bytes(found.fetchone()[0])

    def edit(
        self, kind: str, field: str, schema: FrameSchema, events: list[list[Any]],
        change: Callable[[pd.DataFrame], pd.DataFrame],
    ) -> None:  # fmt: skip
        """Change the frame that the last event of a kind names."""
        name = [body[field] for _, k, body in events if k == kind][-1]
        frame = change(parquet.from_bytes(self.get(name), schema))
        self.put(parquet.to_bytes(frame), name, events)

    def put(self, content: bytes, instead_of: str, events: list[list[Any]]) -> None:
        """Let a blob take another's place, in every event that names it."""
        import hashlib

        name = hashlib.sha256(content).hexdigest()
        self.database.execute("DELETE FROM blobs WHERE sha256 IN (?, ?)", (instead_of, name))
        self.database.execute(
            "INSERT INTO blobs VALUES (?, ?, ?)", (name, parquet.MEDIA_TYPE, content)
        )
        for _, _, body in events:
            for field in BLOB_FIELDS & body.keys():
                body[field] = name if body[field] == instead_of else body[field]


def bend_ledger(choose: Chooser) -> Callable[[list[list[Any]], Book], None]:
    """A change of one event, of their order, or of a frame."""

    def change(events: list[list[Any]], book: Book) -> None:
        how, at = choose(8), choose(len(events))
        event = events[at]
        if how < 3:
            event[2] = bent(event[2], choose)
        elif how == 3:
            event[choose(2)] = pick(choose, [v for v in ODD if v is not None
                                             and not isinstance(v, list | dict)
                                             and v != 10**30])  # fmt: skip
        elif how == 4:
            events[at : at + 1] = pick(choose, [[], [event, event]])
        elif how < 7:
            named = [(e, f) for e in events for f in sorted(BLOB_FIELDS & e[2].keys())]
            one, field = pick(choose, named)
            name = one[2][field]
            book.put(bend_frame(book.get(name), choose), name, events)
        else:
            event[2] = pick(choose, ("[" * 50_000, "1", "[]", '"x"', "{", "null", '{"a": NaN}'))

    return change


def bend_frame(content: bytes, choose: Chooser) -> bytes:
    """A frame with a column lost, of another type, of other values, other rows – or other bytes."""
    how = choose(7)
    if how == 0:
        at = choose(len(content))
        return content[:at] + bytes([choose(256)]) + content[at + 1 :]
    if how == 1:
        return content[: choose(len(content))]
    table = pq.read_table(io.BytesIO(content))
    name = pick(choose, table.column_names)
    at, column = table.column_names.index(name), table.column(name)
    if how == 2:
        table = table.drop_columns([name])
    elif how == 3:
        table = table.slice(choose(table.num_rows + 1), choose(table.num_rows + 1))
    elif how == 4:
        table = pa.concat_tables([table, table.slice(0, choose(3))])
    else:
        odd = [v for v in ODD if isinstance(v, str)] if how == 5 else [-1, 0, 10**12, 5, None]
        values = column.to_pylist()
        if values:
            values[choose(len(values))] = pick(choose, odd)
        kind = column.type if choose(3) else pick(choose, (pa.string(), pa.int64(), pa.float64()))
        try:
            table = table.set_column(at, name, pa.array(values, pc.cast(column, kind).type))
        except (pa.ArrowException, TypeError, OverflowError):
            table = table.set_column(at, name, pa.nulls(table.num_rows))
    sink = io.BytesIO()
    pq.write_table(table, sink, use_dictionary=bool(choose(9) == 0))
    return sink.getvalue()


def use(path: Path, choose: Chooser) -> None:
    """Do one of the things with a ledger that need no cloud."""
    ways: list[Callable[[], object]] = [
        lambda: sharekit.verify(path),
        lambda: sharekit.status(path)._repr_html_(),
        lambda: approval.require_approval_of(path),
        lambda: sharekit.report(path, path.with_name("a.csv")),
        lambda: sharekit.report(path, path.with_name("a.json")),
        lambda: _view(path),
        lambda: sharekit.report(path, path.with_name("a.html")),
        lambda: sharekit.report(path, path.with_name("a.xlsx")),
    ]
    try:
        pick(choose, ways)()
    except SharekitError as error:
        one_sentence(error)


def _view(path: Path) -> None:
    review = Review(path)
    _ = review.rows, review.gate, review.state.counts, review.state.not_sent()
    review.state.row(0)
    if len(review.plan.chunks):
        review.state.curl(1)
    with Ledger.open(path) as book:
        steps.decisions(book)


def ledgers(original: Path, folder: Path) -> Callable[[Chooser], None]:
    """The target that forges ledgers."""

    def target(choose: Chooser) -> None:
        path = folder / "forged.ledger"
        forge(original, path, bend_ledger(choose))
        use(path, choose)

    return target


# -- answers -------------------------------------------------------------------------------------
ID = "5a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e"
GOOD: dict[str, dict[str, Any]] = {
    "page": {"images": [{"id": ID, "owner": "o", "name": "n", "__whole_image": "true",
                         "min_disk": 40}], "next": "/v2/images?marker=x"},
    "vaults": {"vaults": [{"id": ID, "name": "v", "auto_expand": False, "resources": [],
                           "billing": {"object_type": "server", "protect_type": "backup",
                                       "status": "available", "size": 100, "used": 1024}}]},
    "job": {"status": "SUCCESS", "job_id": "j", "error_code": None, "fail_reason": None,
            "entities": {"results": [{"image_id": ID, "status": "success"}]}},
    "changed": {"job_id": "0123456789abcdef0123456789abcdef"},
    "members": {"members": [{"member_id": "p", "status": "accepted", "created_at": "x"}]},
    "error": {"error": {"code": "IMG.0060", "message": "flow <b>control</b>"}},
}  # fmt: skip


class _Said(Transport):
    """Answers with what it is told, once, then with nothing more."""

    def __init__(self, *bodies: bytes, http: int = 200, headers: dict[str, str]) -> None:
        super().__init__(None, "here")  # type: ignore[arg-type]
        self.left, self.http, self.headers = [*bodies], http, headers

    def get(self, url: str, **_: Any) -> Reply:
        response = requests.Response()
        response.status_code, response.url = self.http, url
        response._content = self.left.pop(0) if self.left else b'{"images": [], "vaults": []}'
        response.headers.update(self.headers)
        return self._parse(response)

    def read(self, url: str, **more: Any) -> Reply:
        return self.get(url, **more)

    def call(self, method: str, url: str, **_: Any) -> Reply:
        return self.get(url)


def answered(choose: Chooser) -> None:
    """The target that bends answers of clouds."""
    name = pick(choose, sorted(GOOD))
    body = GOOD[name]
    for _ in range(1 + choose(3)):
        body = bent(body, choose)
    text = json.dumps(body).encode()
    if choose(6) == 0:
        at = choose(len(text))
        text = text[:at] + bytes([choose(256)]) + text[at + choose(3) :]
    http = pick(choose, (200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 429, 500, 503))
    headers = {"Retry-After": str(pick(choose, ODD))[:50], "Date": str(pick(choose, ODD))[:50],
               "X-Request-Id": str(pick(choose, ODD))}  # fmt: skip
    said = _Said(text, http=http, headers=headers)
    where = cloud.Cloud("here", "0" * 32, "", "https://a", "https://a", "https://a/v3", said,
                        api=pick(choose, ("batch", "native")))  # fmt: skip
    for one in (
        lambda: list(where.shares("pending")),
        lambda: where.share(ID),
        where.vaults,
        lambda: where.members(ID),
        lambda: where.job("j"),
        lambda: where.send(("PUT", "https://a/x", {}), "t"),
    ):
        said.left = [text]
        try:
            one()
        except SharekitError as error:
            one_sentence(error)
    responses.parse_json(text)


# -- workbooks -----------------------------------------------------------------------------------
def seeds(folder: Path) -> list[Path]:
    """One good file of each format."""
    rows: list[list[Any]] = [
        ["Image ID", "Project ID", "Decision", "Note"],
        [ID, "0" * 32, "accepted", "a"],
        [ID.replace("5", "6"), "1" * 32, "rejected", "3.5"],
    ]
    makers = {
        "a.xlsx": workbooks_by.by_openpyxl, "b.xlsx": workbooks_by.by_xlsxwriter,
        "c.xls": workbooks_by.by_xlwt, "d.ods": workbooks_by.by_odfpy,
        "e.xlsb": workbooks_by.by_hand_xlsb, "f.parquet": workbooks_by.by_pyarrow,
        "g.csv": workbooks_by.by_csv,
    }  # fmt: skip
    return [make(folder / name, rows) for name, make in makers.items()]


def workbooks(originals: list[Path], folder: Path) -> Callable[[Chooser], None]:
    """The target that bends spreadsheets: bytes of files, and bytes of the parts of archives."""

    def target(choose: Chooser) -> None:
        original = pick(choose, originals)
        content = original.read_bytes()
        if zipfile.is_zipfile(original) and choose(4):
            with zipfile.ZipFile(original) as archive:
                parts = {name: archive.read(name) for name in archive.namelist()}
            name = pick(choose, sorted(parts))
            parts[name] = bend_bytes(parts[name], choose)
            sink = io.BytesIO()
            with zipfile.ZipFile(sink, "w") as archive:
                for part, data in parts.items():
                    archive.writestr(part, data)
            content = sink.getvalue()
        else:
            content = bend_bytes(content, choose)
        path = folder / f"bent{original.suffix}"
        path.write_bytes(content)
        try:
            sharekit.check(sharekit.read_inventory(path))
        except SharekitError as error:
            one_sentence(error)

    return target


def bend_bytes(content: bytes, choose: Chooser) -> bytes:
    """Some bytes changed, lost, doubled, or something odd put in."""
    for _ in range(1 + choose(4)):
        at = choose(len(content) + 1)
        how = choose(5)
        if how == 0:
            new, gone = bytes([choose(256)]), 1
        elif how == 1:
            new, gone = b"", 1 + choose(50)
        elif how == 2:
            new, gone = content[at : at + 1 + choose(200)], 0
        elif how == 3:
            new, gone = str(pick(choose, ODD)).encode("utf-8", "surrogatepass")[:2000], 0
        else:
            new, gone = pick(choose, (b"<", b"&", b'"', b"]]>", b"\x00", b"\xff\xff\xff\xff", b"-1",
                                      b"999999999", b"<c/>", b",", b"\n")), choose(3)  # fmt: skip
        content = content[:at] + new + content[at + gone :]
    return content

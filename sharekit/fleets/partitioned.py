"""An inventory larger than memory: files of parquet, sorted by project into buckets that fit.

Rows that decide on one share together, or fill one vault, name one project, so they come into one
bucket, which is checked as a whole inventory is. What other rows have to say is gathered before
(:mod:`.elsewhere`). Each row keeps the file and the number it came from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from glob import has_magic
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sharekit.checks.cell_rules import repaired
from sharekit.checks.check import Beyond, check, check_apart, tell
from sharekit.checks.findings import Findings
from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.columns import STR
from sharekit.core.errors import InputError, SpreadsheetError
from sharekit.core.files import shown_name
from sharekit.core.monitoring.progress import report
from sharekit.ledger.ledger import Ledger
from sharekit.plans.storage import read_snapshot, write_snapshot
from sharekit.spreadsheets.formats.columns import arrow_column, sheet_of
from sharekit.spreadsheets.formats.parquet import parquet_error, read_parquet
from sharekit.spreadsheets.formats.per_text import written_out
from sharekit.spreadsheets.formats.raw_sheet import TEXT, Blob, Content
from sharekit.spreadsheets.headers import find_header
from sharekit.spreadsheets.input import PARQUET, Limits
from sharekit.spreadsheets.inventory import Inventory, Source, find_rows
from sharekit.spreadsheets.mistaken_ids import KnownIds
from sharekit.spreadsheets.reading import join_sheets, read_options

from .elsewhere import ID_COLUMNS, Elsewhere

#: Rows of a bucket, which is in memory as a whole, and the most that one project may fill it with.
BUCKET_ROWS: Final = 1_000_000
MOST_ROWS: Final = 3_000_000
#: Buckets that are written at a time, rows that are read at a time, and numbers of projects' IDs.
_MOST_BUCKETS: Final = 500
_BATCH: Final = 1 << 18
_BINS: Final = 1 << 20
#: Two more columns of a bucket: a row's file, and its number there.
_ORIGIN: Final = pa.schema({"sharekit file": pa.int32(), "sharekit row": pa.int64()})
_Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ParquetFile:
    """A file of the inventory; ``folders`` are the columns that its path holds (``region=eu``)."""

    path: Path
    folders: Mapping[str, str]

    @classmethod
    def find(cls, shares: Sequence[str]) -> list[ParquetFile]:
        """Return all files of folders and patterns, in the order of their names."""
        found = []
        for share in shares:
            root, paths = Path(share), [Path(share)]
            if root.is_dir():
                paths = [path for path in root.rglob("*") if path.is_file()]
            elif _is_pattern(root):
                paths = [*Path(root.anchor).glob(str(root.relative_to(root.anchor)))]
            for path in sorted(paths):
                names = path.relative_to(root if root.is_dir() else root.anchor).parts
                if not any(re.match(r"_|\.(?!\.?$)", name) for name in names):
                    pairs = (name.split("=", 1) for name in names[:-1] if "=" in name)
                    found.append(cls(path, {key: _folder_text(text) for key, text in pairs}))
        if not found:
            raise InputError(f"{', '.join(shares)}: there is no parquet file; check the path.")
        for file in found:
            if not is_parquet(file.path):
                raise InputError(
                    f"{file.name} is no parquet file: move it elsewhere, or name the files to read."
                )
        return found

    @property
    def name(self) -> str:
        """What reports call it."""
        return shown_name(str(self.path))

    @cached_property
    def content(self) -> Content:
        """Digest and length of its bytes."""
        with self.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return Content(self.name, digest, stream.tell())

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns, those of its path among them."""
        try:
            read = pq.read_schema(self.path)
        except (pa.ArrowException, OSError) as error:
            raise parquet_error(self.name, error) from error
        columns = {field.name: _plain(field.type) for field in read}
        if len(columns) < len(read):
            raise SpreadsheetError(f"{self.name} has two columns of one name: rename one of them.")
        return pa.schema({**dict.fromkeys(self.folders, TEXT), **columns})

    def read(self, columns: pa.Schema) -> Iterator[pa.Table]:
        """Yield some of its columns, batch by batch."""
        try:
            with pq.ParquetFile(self.path) as file:
                own = file.schema_arrow.names
                names = [name for name in columns.names if name in own] or own[:1]
                for batch in file.iter_batches(_BATCH, columns=names):
                    table = pa.Table.from_batches([batch])
                    for name in set(columns.names) - set(own):
                        text = pa.repeat(pa.scalar(self.folders[name], TEXT), len(table))
                        table = table.append_column(name, text)
                    yield table.select(columns.names).cast(columns)
        except (pa.ArrowException, OSError) as error:
            raise parquet_error(self.name, error) from error


def _is_pattern(path: Path) -> bool:
    return has_magic(str(path)) and not path.exists()


def _folder_text(text: str) -> str:
    return "" if text == "__HIVE_DEFAULT_PARTITION__" else unquote(text)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values; texts have one type, however they are stored."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return TEXT if any(test(kind) for test in texts) else kind


def is_parquet(path: Path) -> bool:
    """Return True for a file that begins as parquet does."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(PARQUET)) == PARQUET
    except OSError:
        return False


def is_partitioned(shares: Sequence[str]) -> bool:
    """Return True for folders, for patterns, and for parquet files of more rows than a bucket."""
    paths = [Path(share) for share in shares]
    if any(path.is_dir() or _is_pattern(path) for path in paths):
        return True
    if not all(map(is_parquet, paths)):
        return False
    try:
        return sum(map(_row_count, paths)) > BUCKET_ROWS
    except (pa.ArrowException, OSError):  # reading tells what is wrong
        return False


@dataclass(frozen=True)
class Partitioned:
    """The files of an inventory, with their common columns, and how they are read."""

    files: Sequence[ParquetFile]
    schema: pa.Schema
    columns: Mapping[str, str]
    defaults: Mapping[str, str]
    limits: Limits | None = None
    clouds: Clouds | None = None
    strict: bool = False
    confirm: Collection[str] = ()

    @classmethod
    def open(
        cls, *shares: str, columns: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None, limits: Limits | None = None,
    ) -> Partitioned:  # fmt: skip
        """Look at the columns of all files.

        Parameters
        ----------
        *shares : str
            Folders, patterns such as ``shares/*.parquet``, and files. A folder's name such as
            ``region=eu-de`` is a column of what lies in it.
        columns, defaults, limits
            As for :func:`sharekit.read_inventory`; the limits are those of a bucket.

        Raises
        ------
        InputError
            There is no file, one is no parquet, or one has other columns than the first.
        UsageError
            As for :func:`sharekit.read_inventory`.

        Examples
        --------
        >>> shares = Partitioned.open("shares/")             # doctest: +SKIP
        >>> Fleet.plan(shares, "june", by="project")         # doctest: +SKIP
        """
        mapping, given = read_options(shares, columns, defaults)
        files = ParquetFile.find(shares)
        first = schema = files[0].schema
        for file in files:
            try:
                schema = pa.unify_schemas([schema, file.schema])
            except pa.ArrowException as error:
                why = str(error).splitlines()[0]
                raise InputError(
                    f"{file.name} cannot be read with {files[0].name}: {why}"
                ) from None
            if other := set(schema.names) ^ (set(first.names) & set(file.schema.names)):
                raise InputError(
                    f"{files[0].name} and {file.name} have not the same columns: only one of them "
                    f"has {sorted(other)[0]!r}. Plan a fleet of each."
                )
        return cls(files, schema, mapping, given, limits)

    def check(
        self, clouds: Clouds | None = None, *, strict: bool = False, confirm: Collection[str] = ()
    ) -> Partitioned:
        """Return the same, to be checked as :func:`sharekit.check` does while it is planned."""
        return replace(self, clouds=clouds, strict=strict, confirm=confirm)

    def bins(self, table: pa.Table) -> _Numbers:
        """Return a number for each row's project, however its ID is written."""
        name = self.project
        if not name:
            return np.zeros(len(table), np.int64)
        codes, distinct = pd.factorize(pd.array(arrow_column(name, table[name]).texts, dtype=STR))
        texts = repaired(pd.Series(distinct, dtype=STR), "project_id")
        hashed = pd.util.hash_array(texts.to_numpy(object))
        numbers: _Numbers = (hashed % np.uint64(_BINS)).astype(np.int64)[codes]
        return numbers

    @cached_property
    def fields(self) -> dict[str, str]:
        """Fields with the names of their columns."""
        empty = [arrow_column(field.name, pa.array([], field.type)) for field in self.schema]
        header = find_header(sheet_of("parquet", empty), self.columns)
        fields = {} if header is None else header.fields
        return {name: str(self.schema.names[at]) for name, at in fields.items()}

    @property
    def project(self) -> str:
        """The column of project IDs; ``""`` if there is none."""
        return self.fields.get("project_id", "")

    def sort(self, folder: Path, parts: int, elsewhere: Elsewhere) -> list[Path]:
        """Write the rows into buckets, at most so many if it is not 0: each project's into one.

        What their IDs say about rows of other buckets goes to ``elsewhere``.
        """
        counts = self._count()
        total, largest = int(counts.sum()), int(counts.max())
        _check_size(largest, "The rows of one project are", "plan some of them apart")
        count = -(-total // BUCKET_ROWS)
        if parts:
            _check_size(-(-total // parts), "The rows of one part would be", "name more parts")
            count = min(count, parts)
        if count > _MOST_BUCKETS:
            raise InputError(f"{total:,} rows are too many for one fleet: plan several.")
        bucket_of = (np.cumsum(counts) - counts) * max(count, 1) // max(total, 1)
        used, bucket_of = np.unique(np.where(counts > 0, bucket_of, -1), return_inverse=True)
        bucket_of -= int(used[0] < 0)
        paths = [folder / f"{n}.parquet" for n in range(int(bucket_of.max()) + 1)]
        written = pa.schema([*self.schema, *_ORIGIN])
        with ExitStack() as stack:
            writers = [
                stack.enter_context(pq.ParquetWriter(path, written, compression="zstd"))
                for path in paths
            ]
            for table in self._rows(total):
                self._add_ids(elsewhere, table)
                bucket = bucket_of[self.bins(table)]
                order = np.argsort(bucket, kind="stable")
                edges = np.searchsorted(bucket[order], np.arange(len(paths) + 1))
                ordered = table.take(pa.array(order))
                for n in np.flatnonzero(np.diff(edges)):
                    writers[n].write_table(ordered.slice(edges[n], edges[n + 1] - edges[n]))
        return paths

    def _add_ids(self, elsewhere: Elsewhere, table: pa.Table) -> None:
        for field in ID_COLUMNS:
            if name := self.fields.get(field):
                elsewhere.add_ids(field, arrow_column(name, table[name]).texts)
            elif given := self.defaults.get(field):
                elsewhere.add_ids(field, pa.chunked_array([[given]], TEXT))

    def buckets(self, folder: Path, by: str) -> Iterator[tuple[Findings, str]]:
        """Yield the findings of each bucket, and what it is to be split by."""
        parts, read, header = int(by) if by.isdecimal() else 0, 0, dict[str, str]()
        with TemporaryDirectory(dir=folder, prefix=".rows-") as rows:
            elsewhere = Elsewhere(Path(rows))
            buckets = self.sort(Path(rows), parts, elsewhere)
            beyond = self._look_at(buckets, elsewhere) if len(buckets) > 1 else None
            counts = _share_out([_row_count(path) for path in buckets], parts)
            more = [n for n, file in enumerate(self.files) if not _row_count(file.path)]
            for number, (path, count) in enumerate(zip(buckets, counts, strict=True), 1):
                report(f"reading bucket {number} of {len(buckets)}", number - 1, len(buckets))
                inventory = self.read_bucket(path, more, elsewhere.known)
                if inventory is None:
                    continue
                more, read, own = [], read + len(inventory), dict(inventory.sources[0].columns)
                if own != (header := header or own):
                    raise InputError(
                        f"Some rows are read by the columns {header}, others by {own}: name the "
                        "columns with --map."
                    )
                options: Any = {"strict": self.strict, "confirm": self.confirm}
                if beyond is None:
                    found = check(inventory, self.clouds, **options)
                else:
                    found = check_apart(inventory, _snapshot_beside(path), beyond, **options)
                yield found, str(count or by)
        if not read:
            raise InputError(f"{self.files[0].name}: there are no rows below the header.")

    def _look_at(self, buckets: Sequence[Path], elsewhere: Elsewhere) -> Beyond:
        """Let the rows of each bucket tell those of the others; the clouds are asked once."""
        elsewhere.compare_ids()
        for number, path in enumerate(buckets, 1):
            report("comparing the buckets", number, len(buckets))
            inventory = self.read_bucket(path, range(len(self.files)), elsewhere.known)
            if inventory is not None:
                told = tell(inventory, self.clouds, elsewhere.alike)
                elsewhere.add_told(inventory, told)
                if told.snapshot is not None:
                    with Ledger.create(_beside(path)) as kept:
                        write_snapshot(kept, told.snapshot)
        return elsewhere.beyond()

    def _count(self) -> _Numbers:
        counts = np.zeros(_BINS, np.int64)
        column = pa.schema([self.schema.field(self.project or 0)])
        for n, file in enumerate(self.files):
            report("counting the rows", n, len(self.files))
            for table in file.read(column):
                counts += np.bincount(self.bins(table), minlength=_BINS)
        return counts

    def _rows(self, total: int) -> Iterator[pa.Table]:
        """Yield all rows, each with the place where it stands."""
        done = 0
        for n, file in enumerate(self.files):
            stat, row = file.path.stat(), 2  # below the names of the columns
            _ = file.content  # the digest is that of what is read now
            for table in file.read(self.schema):
                report("sorting the rows by project", done := done + len(table), total)
                numbers = np.arange(row, row := row + len(table))
                own = pa.array(np.full(len(table), n, np.int32))
                yield pa.table([*table.columns, own, pa.array(numbers)],
                               pa.schema([*self.schema, *_ORIGIN]))  # fmt: skip
            now = file.path.stat()
            if (now.st_size, now.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
                raise InputError(f"{file.name} changed while it was read; plan the fleet again.")

    def read_bucket(self, path: Path, more: Sequence[int], known: KnownIds) -> Inventory | None:
        """Return a bucket as an inventory of its rows' files and of ``more``; None if all blank."""
        name = self.files[0].name if len(self.files) == 1 else f"{self.files[0].name} …"
        (raw,) = read_parquet(Blob(name, path.read_bytes()), self.limits)
        files, numbers = (
            np.asarray(written_out(cells.slice(1)).cast(pa.int64())) for cells in raw.cells[-2:]
        )
        raw = replace(
            raw, cells=raw.cells[:-2], dtypes=raw.dtypes[:-2],
            numbers=np.concatenate([[1], numbers]),
        )  # fmt: skip
        sheet = find_rows(Content(name, "", 0), raw, self.columns, self.defaults)
        if sheet.source.header_row > 1:
            raise SpreadsheetError(
                f"{name}: the names of its columns are no header; name them with --map."
            )
        if sheet.source.header_row and not sheet.source.rows:
            return None
        inventory = join_sheets([sheet], self.columns, beyond=known)
        of_rows = files[sheet.rows - 1]
        present = np.union1d(files, np.array(more, np.int64))
        read = np.bincount(np.searchsorted(present, files), minlength=len(present))
        kept = np.bincount(np.searchsorted(present, of_rows), minlength=len(present))
        sources = [
            replace(inventory.sources[0], file=file.name, sha256=file.content.sha256,
                    size=file.content.size, rows=int(k), blank_rows=int(r - k))
            for file, r, k in zip((self.files[n] for n in present), read, kept, strict=True)
        ]  # fmt: skip
        return _with_sources(inventory, sources, np.searchsorted(present, of_rows))


def _beside(bucket: Path) -> Path:
    return bucket.with_suffix(".ledger")


def _snapshot_beside(bucket: Path) -> Snapshot | None:
    if not _beside(bucket).exists():
        return None
    with Ledger.open(_beside(bucket)) as kept:
        return read_snapshot(kept)


def _check_size(rows: int, what: str, remedy: str) -> None:
    if rows > MOST_ROWS:
        raise InputError(f"{what} {rows:,}, and at most {MOST_ROWS:,} fit into memory: {remedy}.")


def _with_sources(inventory: Inventory, sources: Sequence[Source], number: _Numbers) -> Inventory:
    """Return an inventory whose rows come from several files; what is said of all, of each."""
    issues = inventory.cell_issues
    of_rows = issues["row_key"] >= 0
    own = issues[of_rows]
    own = own.assign(source=number[own["row_key"].to_numpy("int64")].astype("int32"))
    of_files = [issues[~of_rows].assign(source=np.int32(n)) for n in range(len(sources))]
    names = list(dict.fromkeys(source.file for source in sources))
    codes = np.array([names.index(source.file) for source in sources])[number]
    files = pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=STR))
    return Inventory(
        inventory.rows.assign(file=files, source=number.astype("int32")),
        tuple(sources),
        pd.concat([own, *of_files], ignore_index=True),
    )


def _row_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _share_out(rows: Sequence[int], parts: int) -> list[int]:
    """Return how many of all parts each bucket is split into, by the number of its rows.

    >>> _share_out([10, 30, 60], 8), _share_out([10, 20], 0)
    ([1, 3, 4], [0, 0])
    """
    counts = np.full(len(rows), int(parts > 0))
    for _ in range(parts - len(rows)):
        counts[np.argmax(np.array(rows) / counts)] += 1
    return [int(count) for count in counts]

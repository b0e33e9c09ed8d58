"""What rows of an inventory larger than memory say about rows of other buckets.

IDs that were counted up, an ID in the column of another kind, and an image that is shared with too
many projects show only where rows of different projects are compared. What that needs of the other
rows are IDs and numbers. They are gathered on disk, in files that hold all records of an ID, so
that one file at a time is in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.checks.cell_rules import repaired
from sharekit.checks.check import Beyond, Told
from sharekit.checks.counted_ids import trace
from sharekit.checks.hits import fullmatch
from sharekit.core.columns import STR
from sharekit.core.errors import InputError
from sharekit.core.fields import GRAMMARS, PROJECT_ID
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.mistaken_ids import KnownIds, known_digits

#: Columns of IDs -> where they are seen, and what they are known for.
ID_COLUMNS: Final = {"image_id": (1, 4), "vault_id": (1, 0), "project_id": (2, 8), "owner": (0, 8)}
#: An image's ID that is seen as a project's, and the other way round.
_IMAGE, _PROJECT = 2 | 4, 1 | 8
#: IDs in memory that begin, or end, as another one does: nobody's are drawn like that.
_MOST_ALIKE: Final = 1_000_000
_BITS: Final = 6
#: An odd number to mix the digits of an ID with (of xxHash).
_MIX: Final = np.uint64(0x9E3779B185EBCA87)
#: An ID as the numbers of its first and its last 16 digits (or the other way round), and a number.
_RECORD: Final = np.dtype([("first", np.uint64), ("rest", np.uint64), ("number", np.uint32)])
_Ids = NDArray[np.uint64]


class IdFiles:
    """Records of IDs in files; those with the same ``first`` are in one."""

    def __init__(self, folder: Path, name: str) -> None:
        self._paths = [folder / f"{name}-{n}" for n in range(1 << _BITS)]

    def add(self, ids: _Ids, numbers: object) -> None:
        """Write records of IDs, a line of two numbers each."""
        records = np.empty(len(ids), _RECORD)
        records["first"], records["rest"], records["number"] = *ids.T, numbers
        file = (records["first"] * _MIX) >> np.uint64(64 - _BITS)
        order = np.argsort(file, kind="stable")
        edges = np.searchsorted(file[order], np.arange(len(self._paths) + 1, dtype=np.uint64))
        for n in np.flatnonzero(np.diff(edges)):
            with self._paths[n].open("ab") as stream:
                records[order[edges[n] : edges[n + 1]]].tofile(stream)

    def groups(self) -> Iterator[tuple[NDArray[np.void], NDArray[np.int64]]]:
        """Yield the records of a file in order, and where those of each ID begin."""
        for path in filter(Path.exists, self._paths):
            records = np.fromfile(path, _RECORD)
            records = records[np.lexsort((records["rest"], records["first"]))]
            ids = records[["first", "rest"]]
            yield records, np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))


class Elsewhere:
    """What is gathered of all rows."""

    def __init__(self, folder: Path) -> None:
        names = ("heads", "tails", "offers")
        self._heads, self._tails, self._offers = (IdFiles(folder, name) for name in names)
        self._cells: list[pd.DataFrame] = []
        self._shown: set[str] = set()
        self.known, self.alike = KnownIds(), set[str]()

    def add_ids(self, field: str, texts: pa.ChunkedArray) -> None:
        """Take in the IDs of a column, as they are written in some rows."""
        distinct = pc.unique(texts)
        seen, known = ID_COLUMNS[field]
        values = repaired(pd.Series(pd.array(distinct, dtype=STR)), field)
        digits = values.str.replace("-", "", regex=False)
        ids = _numbers(digits[fullmatch(digits, PROJECT_ID)])
        self._heads.add(ids, seen)
        first, last = ids[:, 0] >> np.uint64(60), ids[:, 1] & np.uint64(15)
        self._tails.add(ids[(first <= 9) & (last > 9)][:, ::-1], 0)
        if known:
            grammar = GRAMMARS.get(field, PROJECT_ID)
            self._heads.add(_numbers(known_digits(pa.chunked_array([distinct]), grammar)), known)

    def compare_ids(self) -> None:
        """Find the IDs that are ``known`` as what they are not seen as, and those that are alike.

        Raises
        ------
        InputError
            There are too many of the latter for the memory of a machine.
        """
        images, projects = list[str](), list[str]()
        for records, starts in self._heads.groups():
            kinds, ids = np.bitwise_or.reduceat(records["number"], starts), records[starts]
            images += _texts(ids[kinds & _IMAGE == _IMAGE])
            projects += _texts(ids[kinds & _PROJECT == _PROJECT])
            self._take_alike(ids)
        for records, starts in self._tails.groups():
            ids = records[starts]
            self._take_alike(ids, turned=True)
        self.known = KnownIds(images, projects)

    def _take_alike(self, ids: NDArray[np.void], *, turned: bool = False) -> None:
        same = ids["first"][1:] == ids["first"][:-1]
        self.alike.update(
            _texts(ids[np.append(same, False) | np.append(False, same)], turned=turned)
        )
        if len(self.alike) > _MOST_ALIKE:
            raise InputError(
                f"More than {_MOST_ALIKE:,} IDs have half of their digits in common with another "
                "one, as if a program had counted them up: copy the IDs again from the cloud."
            )

    def add_told(self, inventory: Inventory, told: Told) -> None:
        """Take in what the rows of a bucket say; ``source`` is the number of their file."""
        images = told.offers.index.str.replace("-", "", regex=False)
        self._offers.add(_numbers(images), told.offers.to_numpy())
        rows = inventory.rows.take(told.cells["row"].to_numpy("int64"))
        places = {name: rows[name].to_numpy() for name in ("source", "row")}
        self._cells.append(told.cells.assign(**places))
        self._shown |= told.shown

    def beyond(self) -> Beyond:
        """Return what all rows say together."""
        first = pd.concat(self._cells).sort_values(["source", "row"], kind="stable")
        offers: dict[str, int] = {}
        for records, starts in self._offers.groups():
            total = np.add.reduceat(records["number"], starts, dtype=np.int64)
            several = np.diff(np.append(starts, len(records))) > 1
            images = (str(UUID(text)) for text in _texts(records[starts[several]]))
            offers |= dict(zip(images, total[several].tolist(), strict=True))
        counted = trace(first.drop_duplicates("text"), self._shown)
        return Beyond(counted, pd.Series(offers, dtype="int64"))


def _numbers(digits: Iterable[str]) -> _Ids:
    """Return two numbers for each ID of 32 hexadecimal digits."""
    packed = bytes.fromhex("".join(map(str, digits)))
    return np.frombuffer(packed, ">u8").reshape(-1, 2).astype(np.uint64)


def _texts(ids: NDArray[np.void], *, turned: bool = False) -> list[str]:
    texts = ((f"{first:016x}", f"{rest:016x}") for first, rest, _ in ids.tolist())
    return ["".join(reversed(one) if turned else one) for one in texts]

"""What owners do, as requests: rectangles of images and projects, each image with each project.

Images that go to the same projects go together, so no request can hold a share that no row plans.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: Positions of rows, or a number for each.
Places = NDArray[np.int64]
#: What all shares of a chunk have in common; ``project_id`` is the project that acts (IMS-members:
#: one of each per call).
COMMON: Final = ("region", "project_id", "status", "vault_id", "whole_image")
#: The columns of a row that hold it where the owner acts.
_ROW: Final = ("region", "owner", "status", "vault_id", "whole_image")


@dataclass(frozen=True, eq=False)
class Rectangles:
    """Rows in the order of sending: by request, then image, then project.

    ``chunk`` numbers their requests, ``starts`` says where each begins, ``wide`` how many projects
    it has.
    """

    rows: pd.DataFrame
    places: Places
    chunk: Places
    starts: Places
    wide: Places

    def requests(self) -> Iterator[dict[str, Any]]:
        """Yield each request: ``chunk``, :data:`COMMON`, ``images`` and ``projects`` (sorted)."""
        if not len(self.starts):
            return
        images, projects = (
            self.rows[name].take(self.places).tolist() for name in ("image_id", "project_id")
        )
        facts = self._common().itertuples(index=False, name=None)
        ends = [*self.starts[1:].tolist(), len(images)]
        for values, number, start, end, wide in zip(
            facts, self.chunk[self.starts].tolist(), self.starts.tolist(), ends, self.wide.tolist(),
            strict=False,
        ):  # fmt: skip
            yield {
                "chunk": number,
                **dict(zip(COMMON, values, strict=True)),
                "images": images[start:end:wide],
                "projects": projects[start : start + wide],
            }

    def chunks(self) -> pd.DataFrame:
        """Return one line per request, as :meth:`sharekit.plans.chunks.Cut.chunks`."""
        chunks = self._common().set_axis(pd.Index(self.chunk[self.starts], name="chunk"))
        return chunks.assign(images=np.diff(np.append(self.starts, len(self.places))))

    def _common(self) -> pd.DataFrame:
        return self.rows[list(_ROW)].take(self.places[self.starts]).set_axis([*COMMON], axis=1)


def cut(rows: pd.DataFrame, places: Places, size: int, after: int) -> Rectangles:
    """Cut planned rows into rectangles of at most so many shares; their numbers follow ``after``.

    They do not depend on the order of the rows.
    """
    if not len(places):
        return _none(rows)
    kind, image, project = _codes(rows, places)
    order = np.lexsort((project, image, kind))
    places, kind, image, project = (those[order] for those in (places, kind, image, project))
    alike, wide, column = _alike(rows, places, kind, image)
    # The image's number among those that go to the same projects.
    order = np.lexsort((project, image, alike, kind))
    places, kind, image, alike, wide, column = (
        those[order] for those in (places, kind, image, alike, wide, column)
    )
    line = _within(_changes(kind, alike), _changes(kind, image))
    parts = -(-wide // size)
    across = -(-wide // np.maximum(parts, 1))
    down = np.maximum(1, size // np.maximum(across, 1))
    order = np.lexsort((image, column // across, line // down, alike, kind))
    facts = (kind, alike, line // down, column // across)
    begins = _changes(*(fact[order] for fact in facts))
    number = np.cumsum(begins, dtype=np.int64) + after
    return _made(rows, places[order], number, np.flatnonzero(begins), image[order])


def found(rows: pd.DataFrame, places: Places) -> Rectangles:
    """Find the rectangles by the numbers that the rows have.

    Where a request would not be a rectangle another one begins, so that none can hold a share
    that no row plans.
    """
    if not len(places):
        return _none(rows)
    kind, image, project = _codes(rows, places)
    number = rows["chunk"].to_numpy("int64", na_value=0)[places]
    order = np.lexsort((project, image, kind, number))
    places, kind, image, number = (those[order] for those in (places, kind, image, number))
    alike, _, _ = _alike(rows, places, number, image)
    begins = _changes(number, kind, alike)
    return _made(rows, places, number, np.flatnonzero(begins), image)


def _none(rows: pd.DataFrame) -> Rectangles:
    return Rectangles(rows, *(np.empty(0, dtype=np.int64) for _ in range(4)))


def _made(
    rows: pd.DataFrame, places: Places, number: Places, starts: Places, image: Places
) -> Rectangles:
    lines = np.flatnonzero(_changes(number, image))
    ends = np.append(lines[1:], len(places))
    wide = (ends - lines)[np.searchsorted(lines, starts)]
    return Rectangles(rows, places, number, starts, wide)


def _codes(rows: pd.DataFrame, places: Places) -> tuple[Places, Places, Places]:
    """Number kinds of request, images and projects, in the order of their texts."""
    few = rows[["image_id", "project_id", *dict.fromkeys(_ROW)]].take(places)
    kind = few.groupby(list(_ROW), sort=True).ngroup().to_numpy(dtype="int64")
    image, _ = pd.factorize(few["image_id"], sort=True)
    project, _ = pd.factorize(few["project_id"], sort=True)
    return np.asarray(kind), image.astype(np.int64), project.astype(np.int64)


def _alike(
    rows: pd.DataFrame, places: Places, group: Places, image: Places
) -> tuple[Places, Places, Places]:
    """Number each image's projects as a whole, tell how many they are, and which one a row is."""
    begins = _changes(group, image)
    starts = np.flatnonzero(begins)
    texts = pa.array(rows["project_id"].take(places).tolist(), pa.string())
    lists = pa.ListArray.from_arrays(pa.array(np.append(starts, len(places)), pa.int32()), texts)
    named = pd.Series(pc.binary_join(lists, ",").to_pylist(), dtype="str")
    alike = pd.factorize(named, sort=True)[0].astype(np.int64)
    lengths = np.diff(np.append(starts, len(places)))
    column = np.arange(len(places)) - np.repeat(starts, lengths)
    return np.repeat(alike, lengths), np.repeat(lengths, lengths), column


def _within(groups: NDArray[np.bool_], lines: NDArray[np.bool_]) -> Places:
    """Number the lines of each group from 0."""
    line = np.cumsum(lines) - 1
    starts = np.flatnonzero(groups)
    lengths = np.diff(np.append(starts, len(line)))
    return np.asarray(line - np.repeat(line[starts], lengths), dtype=np.int64)


def _changes(*facts: Places) -> NDArray[np.bool_]:
    """Where any of them differs from the line before."""
    begins = np.ones(len(facts[0]), dtype=bool)
    if len(begins):
        begins[1:] = np.logical_or.reduce([fact[1:] != fact[:-1] for fact in facts])
    return begins

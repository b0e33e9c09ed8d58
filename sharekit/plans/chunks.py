"""Planned rows as chunks, one request each: which images go together, in what order.

A project decides on one list of images per request. An owner shares a block: each of its images
with each of its projects. Images with the same projects go together, so no request can hold a
share that no row plans. The fingerprint covers all requests in order.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.actions import OWNER_ACTIONS
from sharekit.core.columns import STR, EncodedColumn
from sharekit.core.fields import UUID, UUID_LENGTH
from sharekit.ledger.hashing import canonical_json

#: Positions of rows, or a number for each.
Positions = NDArray[np.int64]
#: What all shares of a chunk have in common; ``project_id`` is the project that acts (IMS-members:
#: one of each per call).
CHUNK_FIELDS: Final = ("region", "project_id", "status", "vault_id", "whole_image")
#: The columns of a row that hold it where an owner acts.
_OWNER_FIELDS: Final = ("region", "owner", "status", "vault_id", "whole_image")
#: The fingerprint of a plan that sends nothing.
EMPTY_FINGERPRINT: Final = hashlib.sha256().hexdigest()
#: From this many rows per image on, sorting the distinct images first takes a third of the time.
_MANY_ROWS_PER_IMAGE: Final = 4
#: Bits of an int64 beside its sign, and the largest key that combining may make.
_KEY_BITS: Final = 63
_MAX_KEY: Final = 1 << (_KEY_BITS - 1)
#: Requests that are written as JSON at one time, to need little memory.
_BATCH: Final = 1_000


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """The images of all requests, one after the other, as positions among the distinct ones.

    ``is_id`` says which of the distinct ones are IDs, so that JSON has them without escapes.
    """

    categories: pa.Array
    codes: NDArray[np.unsignedinteger]
    is_id: NDArray[np.bool_]

    @property
    def all_ids(self) -> bool:
        """True if all of them are IDs."""
        return bool(self.is_id[self.codes].all())

    def to_list(self) -> list[str]:
        """Return all of them as text."""
        images: list[str] = self.categories.take(pa.array(self.codes)).to_pylist()
        return images

    def quoted(self) -> tuple[NDArray[np.uint8], Positions]:
        """Return the distinct IDs as bytes, each with quotes and a comma, and each image's line."""
        _, _, text = self.categories.filter(pa.array(self.is_id)).buffers()
        ids = np.frombuffer(text, np.uint8).reshape(-1, UUID_LENGTH)
        lines = np.full((len(ids), UUID_LENGTH + 3), ord('"'), dtype=np.uint8)
        lines[:, 1:-2] = ids
        lines[:, -1] = ord(",")
        numbers = np.cumsum(self.is_id) - 1
        return lines, numbers[self.codes]


@dataclass(frozen=True, eq=False)
class OwnerChunks:
    """What owners do: planned rows in the order of sending, by request, then image, then project.

    ``chunk`` is the number of each row's request, ``starts`` the position where each request
    begins, ``widths`` how many projects it has.
    """

    rows: pd.DataFrame
    positions: Positions
    chunk: Positions
    starts: Positions
    widths: Positions

    @classmethod
    def make(cls, rows: pd.DataFrame, positions: Positions, size: int, after: int) -> OwnerChunks:
        """Cut planned rows into blocks of at most ``size`` shares; numbers follow ``after``.

        The blocks do not depend on the order of the rows.
        """
        if not len(positions):
            return cls._empty(rows)
        kind, image, project = _encode_shares(rows, positions)
        order = np.lexsort((project, image, kind))
        positions, kind, image, project = _take(order, positions, kind, image, project)
        group, width, column = _group_by_projects(rows, positions, kind, image)
        order = np.lexsort((project, image, group, kind))
        positions, kind, image, group, width, column = _take(
            order, positions, kind, image, group, width, column
        )
        # The image's number among those that have the same projects.
        line = _numbers_within(_begins(kind, group), _begins(kind, image))
        across = -(-width // np.maximum(-(-width // size), 1))  # projects per request, evenly
        down = np.maximum(1, size // np.maximum(across, 1))  # images per request
        order = np.lexsort((image, column // across, line // down, group, kind))
        keys = (kind, group, line // down, column // across)
        begins = _begins(*_take(order, *keys))
        number = np.cumsum(begins, dtype=np.int64) + after
        return cls._of(rows, positions[order], number, np.flatnonzero(begins), image[order])

    @classmethod
    def restore(cls, rows: pd.DataFrame, positions: Positions) -> OwnerChunks:
        """Find the blocks by the numbers of their chunks that the rows have.

        A new request begins wherever the shares of a number are no block, so that no request can
        hold a share that no row plans.
        """
        if not len(positions):
            return cls._empty(rows)
        kind, image, project = _encode_shares(rows, positions)
        number = rows["chunk"].to_numpy("int64", na_value=0)[positions]
        order = np.lexsort((project, image, kind, number))
        positions, kind, image, number = _take(order, positions, kind, image, number)
        group, _, _ = _group_by_projects(rows, positions, number, image)
        begins = _begins(number, kind, group)
        return cls._of(rows, positions, number, np.flatnonzero(begins), image)

    @classmethod
    def _of(
        cls, rows: pd.DataFrame, positions: Positions, number: Positions, starts: Positions,
        image: Positions,
    ) -> OwnerChunks:  # fmt: skip
        lines = np.flatnonzero(_begins(number, image))
        ends = np.append(lines[1:], len(positions))
        widths = (ends - lines)[np.searchsorted(lines, starts)]
        return cls(rows, positions, number, starts, widths)

    @classmethod
    def _empty(cls, rows: pd.DataFrame) -> OwnerChunks:
        return cls(rows, *(np.empty(0, dtype=np.int64) for _ in range(4)))

    def iter_chunks(self) -> Iterator[dict[str, Any]]:
        """Yield each request; see :meth:`Chunks.iter_chunks`."""
        if not len(self.starts):
            return
        images, projects = (
            self.rows[name].take(self.positions).tolist() for name in ("image_id", "project_id")
        )
        facts = self._common().itertuples(index=False, name=None)
        ends = [*self.starts[1:].tolist(), len(images)]
        for values, number, start, end, width in zip(
            facts, self.chunk[self.starts].tolist(), self.starts.tolist(), ends,
            self.widths.tolist(), strict=False,
        ):  # fmt: skip
            yield {
                "chunk": number,
                **dict(zip(CHUNK_FIELDS, values, strict=True)),
                "images": images[start:end:width],
                "projects": projects[start : start + width],
            }

    def frame(self) -> pd.DataFrame:
        """Return one line per request, as :meth:`Chunks.frame`."""
        chunks = self._common().set_axis(pd.Index(self.chunk[self.starts], name="chunk"))
        return chunks.assign(images=np.diff(np.append(self.starts, len(self.positions))))

    def _common(self) -> pd.DataFrame:
        acting = self.rows[list(_OWNER_FIELDS)].take(self.positions[self.starts])
        return acting.set_axis([*CHUNK_FIELDS], axis=1)


@dataclass(frozen=True, eq=False)
class Chunks:
    """All requests: planned rows in the order of sending, and where each request begins.

    ``positions``, ``images``, ``chunk`` and ``starts`` are those of the projects' own decisions;
    what owners do is in ``of_owners``.
    """

    rows: pd.DataFrame
    positions: Positions
    images: EncodedImages
    chunk: Positions
    starts: Positions
    of_owners: OwnerChunks

    @property
    def ends(self) -> Positions:
        """The positions where the requests end."""
        return np.append(self.starts[1:], len(self.positions)).astype(np.int64)

    @functools.cached_property
    def common(self) -> pd.DataFrame:
        """:data:`CHUNK_FIELDS` of each request."""
        return self.rows[list(CHUNK_FIELDS)].take(self.positions[self.starts])

    def iter_chunks(self) -> Iterator[dict[str, Any]]:
        """Yield each request in order: ``chunk``, its common fields, ``images`` (sorted).

        An owner's request has ``projects`` as well; each image is meant with each of them.
        """
        images = self.images.to_list()
        for number, values, start, end in self.iter_bounds():
            common = dict(zip(CHUNK_FIELDS, values, strict=True))
            yield {"chunk": number, **common, "images": images[start:end]}
        yield from self.of_owners.iter_chunks()

    def iter_bounds(self) -> Iterator[tuple[int, tuple[str, ...], int, int]]:
        """Yield each request's number, its common fields, and where its images begin and end."""
        facts = zip(*(self.common[name].tolist() for name in CHUNK_FIELDS), strict=True)
        numbers = self.chunk[self.starts].tolist()
        ends = self.ends[: len(numbers)].tolist()
        yield from zip(numbers, facts, self.starts.tolist(), ends, strict=True)

    def iter_image_json(self) -> Iterator[bytes | memoryview]:
        """Yield the images of each request as JSON, without the brackets."""
        bounds = list(zip(self.starts.tolist(), self.ends.tolist(), strict=False))
        if not len(self.positions):
            return
        if not self.images.all_ids:  # only a ledger that we did not write holds such a plan
            images = self.images.to_list()
            yield from (canonical_json(images[start:end])[1:-1].encode() for start, end in bounds)
            return
        lines, numbers = self.images.quoted()
        width = lines.shape[1]
        for batch in range(0, len(bounds), _BATCH):
            some = bounds[batch : batch + _BATCH]
            first = some[0][0]
            text = lines.take(numbers[first : some[-1][1]], axis=0).reshape(-1).data
            for start, end in some:
                yield text[(start - first) * width : (end - first) * width - 1]

    def fingerprint(self) -> str:
        """Return the SHA-256 of all requests, each as one line of canonical JSON."""
        sha = hashlib.sha256()
        rest = functools.cache(
            lambda *values: canonical_json(dict(zip(CHUNK_FIELDS, values, strict=True)))
        )
        bounds = self.iter_bounds()
        for (number, values, _, _), images in zip(bounds, self.iter_image_json(), strict=True):
            # `chunk` and `images` sort before all other names, as canonical JSON has them.
            sha.update(b'{"chunk":%d,"images":[' % number)
            sha.update(images)
            sha.update(f"],{rest(*values)[1:]}\n".encode())
        for chunk in self.of_owners.iter_chunks():
            sha.update(f"{canonical_json(chunk)}\n".encode())
        return sha.hexdigest()

    def frame(self) -> pd.DataFrame:
        """Return one line per request, indexed by ``chunk``: its common fields, ``images``."""
        chunks = self.common.set_axis(pd.Index(self.chunk[self.starts], name="chunk"))
        chunks["images"] = self.ends[: len(self.starts)] - self.starts
        owners = self.of_owners
        return pd.concat([chunks, owners.frame()]) if len(owners.starts) else chunks


def make_chunks(
    rows: pd.DataFrame, size: int, encoded: Mapping[str, EncodedColumn] | None = None
) -> tuple[pd.DataFrame, Chunks]:
    """Put the planned rows into chunks of one kind, sorted by image ID.

    ``encoded`` are columns that are encoded already.

    Returns
    -------
    rows : DataFrame
        With ``chunk`` (Int64, from 1; missing where nothing is sent).
    chunks : Chunks
        The requests.
    """
    known = encoded or {}
    positions, of_owners = _planned(rows, known)
    kind = _encode_kinds(rows, positions, known)
    order, images = _sort_by_image(rows, positions, kind, known.get("image_id"))
    chunk, starts = _number_chunks(kind[order], size)
    owners = OwnerChunks.make(rows, of_owners, size, len(starts))
    numbers = np.zeros(len(rows), dtype="int64")
    numbers[positions[order]] = chunk
    numbers[owners.positions] = owners.chunk
    rows = rows.assign(chunk=pd.arrays.IntegerArray(numbers, numbers == 0))
    return rows, Chunks(rows, positions[order], images, chunk, starts, replace(owners, rows=rows))


def chunks_of(rows: pd.DataFrame) -> Chunks:
    """Find the requests by the numbers of their chunks that the rows have."""
    positions, of_owners = _planned(rows, {})
    chunk = rows["chunk"].to_numpy("int64", na_value=0)[positions]
    order, images = _sort_by_image(rows, positions, chunk)
    chunk, positions = _take(order, chunk, positions)
    kind = _encode_kinds(rows, positions, {})
    # A new request begins with every change, so that all rows of a request are of one kind.
    starts = np.flatnonzero(_begins(chunk, kind))
    return Chunks(rows, positions, images, chunk, starts, OwnerChunks.restore(rows, of_owners))


def iter_chunks(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield each request of the rows; see :meth:`Chunks.iter_chunks`."""
    return chunks_of(rows).iter_chunks()


# -- keys that sort --------------------------------------------------------------------------------
def _planned(rows: pd.DataFrame, known: Mapping[str, EncodedColumn]) -> tuple[Positions, Positions]:
    """Return the positions of planned rows: the projects' own decisions, and the owners'."""
    planned = (rows["disposition"] == "planned").to_numpy(dtype=bool)
    of_owners = EncodedColumn.encode(rows["status"], known.get("status")).isin(OWNER_ACTIONS)
    return np.flatnonzero(planned & ~of_owners), np.flatnonzero(planned & of_owners)


def _encode_kinds(
    rows: pd.DataFrame, positions: Positions, known: Mapping[str, EncodedColumn]
) -> Positions:
    """Number the combinations of :data:`CHUNK_FIELDS` at these positions, in their order."""
    columns = (EncodedColumn.encode(rows[name], known.get(name)) for name in CHUNK_FIELDS)
    start = np.zeros(len(positions), dtype=np.int64), 1
    keys = (
        (_ranks(column.categories)[column.codes[positions]], len(column.categories))
        for column in columns
        if len(column.categories) > 1
    )
    return functools.reduce(_combine_keys, keys, start)[0]


def _combine_keys(
    first: tuple[Positions, int], second: tuple[Positions, int]
) -> tuple[Positions, int]:
    """Combine two sort keys into one integer key; each is given with its cardinality."""
    (key, count), (minor, minor_count) = first, second
    if count * minor_count > _MAX_KEY:
        distinct, key = np.unique(key, return_inverse=True)
        count = len(distinct)
    return key * minor_count + minor, count * minor_count


def _ranks(categories: pd.Series) -> Positions:
    """Return the rank of each of some distinct texts among them."""
    ranks = np.empty(len(categories), dtype=np.int64)
    ranks[pc.sort_indices(pa.array(categories)).to_numpy()] = np.arange(len(categories))
    return ranks


def _sort_by_image(
    rows: pd.DataFrame, positions: Positions, first: Positions, known: EncodedColumn | None = None
) -> tuple[Positions, EncodedImages]:
    """Sort by a key, then by image ID; return the order, and the images in that order."""
    column = EncodedColumn.encode(rows["image_id"], known)
    categories = pa.chunked_array(pa.array(column.categories)).combine_chunks()
    codes = column.codes[positions]
    if len(categories) * _MANY_ROWS_PER_IMAGE < len(codes):
        key = first, int(first.max(initial=0)) + 1
        image = _ranks(column.categories)[codes], len(categories)
        order = _argsort(*_combine_keys(key, image))
    else:
        keys = pa.table({"first": first, "image_id": categories.take(pa.array(codes))})
        order = pc.sort_indices(keys, [("first", "ascending"), ("image_id", "ascending")])
        order = order.to_numpy().astype(np.int64)
    return order, EncodedImages(categories, codes[order], column.fullmatch(UUID))


def _argsort(keys: Positions, count: int) -> Positions:
    """Sort keys below ``count``; where key and position fit into 63 bits, as one number each."""
    bits = len(keys).bit_length()
    if count.bit_length() + bits > _KEY_BITS:
        return np.argsort(keys, kind="stable")
    return np.sort(keys << bits | np.arange(len(keys))) & ((1 << bits) - 1)


def _number_chunks(kind: Positions, size: int) -> tuple[Positions, Positions]:
    """Cut sorted rows into chunks of one kind; return their numbers from 1 and their starts."""
    at = np.arange(len(kind))
    within = at - np.maximum.accumulate(np.where(_begins(kind), at, 0))
    begins = within % size == 0
    return np.cumsum(begins, dtype=np.int64), np.asarray(np.flatnonzero(begins), dtype=np.int64)


# -- blocks of shares ------------------------------------------------------------------------------
def _encode_shares(
    rows: pd.DataFrame, positions: Positions
) -> tuple[Positions, Positions, Positions]:
    """Number the kinds of request, the images and the projects, in the order of their texts."""
    used = rows[["image_id", "project_id", *dict.fromkeys(_OWNER_FIELDS)]].take(positions)
    kind = used.groupby(list(_OWNER_FIELDS), sort=True).ngroup().to_numpy(dtype="int64")
    image, _ = pd.factorize(used["image_id"], sort=True)
    project, _ = pd.factorize(used["project_id"], sort=True)
    return np.asarray(kind), image.astype(np.int64), project.astype(np.int64)


def _group_by_projects(
    rows: pd.DataFrame, positions: Positions, key: Positions, image: Positions
) -> tuple[Positions, Positions, Positions]:
    """For each row: a number of its image's set of projects, their count, and the row's among them.

    Images with the same projects have the same number.
    """
    starts = np.flatnonzero(_begins(key, image))
    ends = np.append(starts, len(positions))
    projects = pa.array(rows["project_id"].take(positions).tolist(), pa.string())
    lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), projects)
    joined = pd.Series(pc.binary_join(lists, ",").to_pylist(), dtype=STR)
    group = pd.factorize(joined, sort=True)[0].astype(np.int64)
    counts = np.diff(ends)
    column = np.arange(len(positions)) - np.repeat(starts, counts)
    return np.repeat(group, counts), np.repeat(counts, counts), column


def _numbers_within(groups: NDArray[np.bool_], lines: NDArray[np.bool_]) -> Positions:
    """Number the lines of each group from 0; both are given by where they begin."""
    line = np.cumsum(lines) - 1
    starts = np.flatnonzero(groups)
    counts = np.diff(np.append(starts, len(line)))
    return np.asarray(line - np.repeat(line[starts], counts), dtype=np.int64)


def _begins(*keys: Positions) -> NDArray[np.bool_]:
    """Return True where any key differs from the line before, and for the first line."""
    begins = np.ones(len(keys[0]), dtype=bool)
    if len(begins):
        begins[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return begins


def _take(order: Positions, *arrays: Positions) -> tuple[Positions, ...]:
    return tuple(array[order] for array in arrays)

"""Planned rows as chunks, one request each: which shares go together, in what order.

A request is a block: each of its images with each of its projects. A project decides for itself
alone, so that its requests have one project. An owner shares with several: images that have the
same projects go together, so no request can hold a share that no row plans. The fingerprint covers
all requests in order.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sharekit.core.actions import OWNER_ACTIONS, ROLES
from sharekit.core.columns import EncodedColumn, acting_project, as_arrow

#: Positions of rows, or a number for each.
Positions = NDArray[np.signedinteger]
#: A number for each row, to sort by, and how many numbers there may be.
_Key = tuple[Positions, int]
#: What all shares of a chunk have in common; ``project_id`` is the project that acts (IMS-members:
#: one of each per call).
CHUNK_FIELDS: Final = ("region", "project_id", "status", "vault_id", "whole_image")
#: So many requests are written out at a time.
_REQUESTS: Final = 1000
#: The fingerprint of a plan that sends nothing.
EMPTY_FINGERPRINT: Final = hashlib.sha256().hexdigest()
#: Bits of an int64 beside its sign, and the largest key that combining may make.
_KEY_BITS: Final = 63
_MAX_KEY: Final = 1 << (_KEY_BITS - 1)


@dataclass(frozen=True, eq=False)
class Chunks:
    """All requests: planned rows in the order of sending, and where each request begins.

    ``positions`` are those of the rows, by request, then image, then project. Each request has its
    number, its start among the positions, and its width: the number of its projects.
    """

    rows: pd.DataFrame
    positions: Positions
    numbers: Positions
    starts: Positions
    widths: Positions

    @property
    def sizes(self) -> Positions:
        """The number of shares of each request."""
        return np.diff(self.starts, append=len(self.positions))

    @functools.cached_property
    def common(self) -> pd.DataFrame:
        """:data:`CHUNK_FIELDS` of each request."""
        first = self.rows[[*CHUNK_FIELDS, "owner"]].take(self.positions[self.starts])
        return first.assign(project_id=acting_project(first))[list(CHUNK_FIELDS)]

    def iter_chunks(self) -> Iterator[dict[str, Any]]:
        """Yield each request in order: ``chunk``, its common fields, ``images``, ``projects``.

        Each image is meant with each project; both are sorted.
        """
        sizes = self.sizes
        within = np.arange(len(self.positions)) - np.repeat(self.starts, sizes)
        width = np.repeat(self.widths, sizes)
        images = self._texts("image_id", within % width == 0, sizes // self.widths)
        projects = self._texts("project_id", within < width, self.widths)
        facts = zip(*(self.common[name].tolist() for name in CHUNK_FIELDS), strict=True)
        names = ("chunk", *CHUNK_FIELDS, "images", "projects")
        for number, values, *ids in zip(
            self.numbers.tolist(), facts, images, projects, strict=True
        ):
            yield dict(zip(names, (number, *values, *ids), strict=True))

    def _texts(
        self, name: str, chosen: NDArray[np.bool_], counts: Positions
    ) -> Iterator[list[str]]:
        """Yield some values of a column for each request, so many of them."""
        positions, ends = self.positions[chosen], np.append(0, np.cumsum(counts))
        # An image is shared with several projects: each ID becomes an object once, which halves the
        # time. All rows' texts at once would take more memory than the rest of the plan.
        column = EncodedColumn.encode(self.rows[name])
        distinct = column.categories.to_numpy(object)
        for first in range(0, len(counts), _REQUESTS):
            bounds = ends[first : first + _REQUESTS + 1]
            texts = distinct[column.codes[positions[bounds[0] : bounds[-1]]]].tolist()
            for start, end in pairwise((bounds - bounds[0]).tolist()):
                yield texts[start:end]

    def fingerprint(self) -> str:
        """Return the SHA-256 of all requests, each as one line of canonical JSON."""
        encode, sha = msgspec.json.Encoder(order="sorted").encode, hashlib.sha256()
        for chunk in self.iter_chunks():
            sha.update(encode(chunk))
            sha.update(b"\n")
        return sha.hexdigest()

    def frame(self) -> pd.DataFrame:
        """Return one line per request, indexed by ``chunk``: its common fields, ``images``.

        ``images`` is the number of its shares.
        """
        return self.common.set_axis(pd.Index(self.numbers, name="chunk")).assign(images=self.sizes)


def make_chunks(rows: pd.DataFrame, size: int) -> tuple[pd.DataFrame, Chunks]:
    """Put the planned rows into requests of at most ``size`` shares.

    The requests do not depend on the order of the rows; those of projects that decide come before
    those of owners.

    Returns
    -------
    rows : DataFrame
        With ``chunk`` (Int64, from 1; missing where nothing is sent).
    chunks : Chunks
        The requests.
    """
    positions, kind, image, project = _sort_shares(rows)
    block, count = _assign_blocks(kind, image, project, size)
    del kind, project  # of millions of rows, whose memory others need
    order = _argsort((block, count))
    positions, block, image = _take(order, positions, block, image)
    begins = _begins(block)
    numbers = np.zeros(len(rows), dtype=np.int64)
    numbers[positions] = np.cumsum(begins)
    rows = rows.assign(chunk=pd.arrays.IntegerArray(numbers, numbers == 0))
    return rows, _chunks_at(begins, rows, positions, numbers[positions], image)


def chunks_of(rows: pd.DataFrame) -> Chunks:
    """Find the requests by the numbers of their chunks that the rows have.

    A new request begins wherever the shares of a number are no block of one kind, so that no
    request can hold a share that no row plans.
    """
    numbers = rows["chunk"].to_numpy("int64", na_value=0)
    positions, kind, image, project = _sort_shares(rows, numbers)
    number = numbers[positions]
    begins = _begins(number, kind, image)
    group = _group_by_projects(project, np.flatnonzero(begins))[np.cumsum(begins) - 1]
    return _chunks_at(_begins(number, kind, group), rows, positions, number, image)


def _chunks_at(
    begins: NDArray[np.bool_], rows: pd.DataFrame, positions: Positions, number: Positions,
    image: Positions,
) -> Chunks:  # fmt: skip
    starts = np.flatnonzero(begins)
    images = np.cumsum(begins | _begins(image))
    per_request = np.diff(images[starts], append=images[-1:] + 1)
    widths = np.diff(starts, append=len(positions)) // per_request
    return Chunks(rows, positions, number[starts], starts, widths)


# -- blocks of shares ------------------------------------------------------------------------------
def _assign_blocks(kind: Positions, image: Positions, project: Positions, size: int) -> _Key:
    """Number the request of each share, in the order of sending; shares come sorted."""
    begins = _begins(kind, image)
    lines = np.flatnonzero(begins).astype(np.int32)  # each is an image with its projects
    group, line = _number_lines(kind[lines], _group_by_projects(project, lines))
    width = np.diff(lines, append=np.int32(len(kind)))
    across = -(-width // -(-width // size))  # projects per request, evenly
    down = np.maximum(1, size // across)  # images per request
    parts = [np.repeat(part, width) for part in (group, line // down, across)]
    parts[2] = _count_from(begins) // parts[2]
    return functools.reduce(_combine_keys, map(_key, parts))


def _number_lines(kinds: Positions, groups: Positions) -> tuple[Positions, Positions]:
    """Return the number of each line's kind and projects, and its own number among those lines."""
    order = _argsort(_key(kinds), _key(groups))
    begins = _begins(kinds[order], groups[order])
    group, line = np.empty((2, len(order)), dtype=np.int32)
    group[order], line[order] = np.cumsum(begins), _count_from(begins)
    return group, line


def _group_by_projects(project: Positions, starts: Positions) -> Positions:
    """Number the sets of projects: of each image that starts there, in order of appearance."""
    offsets = np.append(starts, len(project)).astype(np.int64) * project.itemsize
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(project)]
    sets = pa.Array.from_buffers(pa.large_binary(), len(starts), buffers)
    return np.asarray(sets.dictionary_encode().indices)


def _begins(*keys: Positions) -> NDArray[np.bool_]:
    """Return True where any key differs from the one before, and at first."""
    begins = np.ones(len(keys[0]), dtype=bool)
    if len(begins):
        begins[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return begins


def _count_from(begins: NDArray[np.bool_]) -> Positions:
    """Count from 0 wherever something begins."""
    at = np.arange(len(begins))
    return at - np.maximum.accumulate(np.where(begins, at, 0))


# -- keys that sort --------------------------------------------------------------------------------
def _sort_shares(rows: pd.DataFrame, first: Positions | None = None) -> tuple[Positions, ...]:
    """Sort planned rows by a number of theirs, then by the kind of request, image and project.

    Returns their positions, and the numbers of their kinds, images and projects. The kind is whose
    action it is, and :data:`CHUNK_FIELDS`.
    """
    positions = np.flatnonzero((rows["disposition"] == "planned").to_numpy(dtype=bool))
    acts = EncodedColumn.encode(rows["status"]).isin(OWNER_ACTIONS)[positions]
    image, project = (_ranked(rows[name], positions) for name in ("image_id", "project_id"))
    kind: _Key = acts.astype(np.int64), len(ROLES)
    for name in ("region", "owner", "project_id", "status", "vault_id", "whole_image"):
        key, count = project if name == "project_id" else _ranked(rows[name], positions)
        if name in ("owner", "project_id"):
            key = key * (acts if name == "owner" else ~acts)
        kind = _combine_keys(kind, (key, count))
    number = [] if first is None else [_key(first[positions])]
    order = _argsort(*number, kind, image, project)
    return _take(order, positions, kind[0], image[0], project[0])


def _ranked(values: pd.Series, positions: Positions) -> _Key:
    """Return the ranks of some texts of a column among all of them."""
    column = EncodedColumn.encode(values)
    ranks = _ranks(column.categories)
    return ranks[column.codes[positions]], len(ranks)


def _key(numbers: Positions) -> _Key:
    return numbers, int(numbers.max(initial=0)) + 1


def _combine_keys(first: _Key, second: _Key) -> _Key:
    """Combine two keys into one that sorts by the first, then by the second."""
    (key, count), (minor, minor_count) = first, second
    if minor_count == 1:
        return first
    if count * minor_count > _MAX_KEY:
        distinct, key = np.unique(key, return_inverse=True)
        count = len(distinct)
    combined = np.multiply(key, minor_count, dtype=np.int64)
    combined += minor
    return combined, count * minor_count


def _ranks(categories: pd.Series) -> Positions:
    """Return the rank of each of some distinct texts among them.

    Most IDs differ in their first bytes, which sort as one number, in a third of the time.
    """
    texts = as_arrow(categories).combine_chunks().cast(pa.large_binary())
    zeros, nothing = (pa.scalar(bytes(n), pa.large_binary()) for n in (8, 0))
    padded = pc.binary_join_element_wise(texts, zeros, nothing)
    letters = pc.binary_slice(padded, 0, 8).buffers()[2]
    first = np.frombuffer(letters or b"", ">u8")[: len(texts)]
    order = np.argsort(first.astype(np.uint64), kind="stable")
    begins = _begins(first[order])
    alike = np.flatnonzero(~(begins & np.append(begins[1:], True)))
    order[alike] = order[alike][pc.sort_indices(texts.take(pa.array(order[alike])))]
    ranks = np.empty(len(order), dtype=np.int32)  # a key for each row takes half the memory
    ranks[order] = np.arange(len(order))
    return ranks


def _argsort(*keys: _Key) -> Positions:
    """Return the stable order by some keys; where key and position fit into 63 bits, fast."""
    key, count = functools.reduce(_combine_keys, keys)
    bits = len(key).bit_length()
    if count.bit_length() + bits > _KEY_BITS:
        return np.argsort(key, kind="stable")
    numbered = np.left_shift(key, bits, dtype=np.int64)
    numbered |= np.arange(len(key))
    numbered.sort()
    numbered &= (1 << bits) - 1
    return numbered


def _take(order: Positions, *arrays: Positions) -> tuple[Positions, ...]:
    return tuple(array[order] for array in arrays)

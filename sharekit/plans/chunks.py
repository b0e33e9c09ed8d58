"""Planned rows as requests: which images go together, in what order, and their fingerprint."""

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
from sharekit.core.columns import Coded
from sharekit.core.fields import UUID, UUID_LENGTH
from sharekit.ledger.hashing import canonical_json

from . import rectangles
from .rectangles import COMMON, Places, Rectangles

#: The fingerprint of a plan that sends nothing.
NOTHING: Final = hashlib.sha256().hexdigest()
#: So many rows an image make it worth while to look at each image once.
_REPEATED: Final = 4
#: What a number holds, beside its sign.
_BITS: Final = 63
_LARGEST: Final = 1 << (_BITS - 1)
#: So many requests are put into words at one time, to need little memory.
_AT_ONCE: Final = 1_000


@dataclass(frozen=True, eq=False)
class Images:
    """The images of all requests, one after the other: the distinct ones, and which each is.

    ``ids`` says which of the distinct ones are IDs, so that they stand in JSON as they are.
    """

    words: pa.Array
    codes: NDArray[np.unsignedinteger]
    ids: NDArray[np.bool_]

    @property
    def legal(self) -> bool:
        """Whether all of them are IDs."""
        return bool(self.ids[self.codes].all())

    def texts(self) -> list[str]:
        """All of them as text."""
        texts: list[str] = self.words.take(pa.array(self.codes)).to_pylist()
        return texts

    def quoted(self) -> tuple[NDArray[np.uint8], Places]:
        """Distinct IDs as lines of equal length, in quotes and with a comma; and those of all."""
        _, _, text = self.words.filter(pa.array(self.ids)).buffers()
        ids = np.frombuffer(text, np.uint8).reshape(-1, UUID_LENGTH)
        lines = np.full((len(ids), UUID_LENGTH + 3), ord('"'), dtype=np.uint8)
        lines[:, 1:-2] = ids
        lines[:, -1] = ord(",")
        places = np.cumsum(self.ids) - 1
        return lines, places[self.codes]


@dataclass(frozen=True, eq=False)
class Cut:
    """Rows in the order of sending, with their chunks' numbers and where each request begins.

    What owners do stands in ``sharing``.
    """

    rows: pd.DataFrame
    places: Places
    images: Images
    chunk: Places
    starts: Places
    sharing: Rectangles

    @property
    def ends(self) -> Places:
        """Where the requests end."""
        return np.append(self.starts[1:], len(self.places)).astype(np.int64)

    @functools.cached_property
    def common(self) -> pd.DataFrame:
        """:data:`COMMON` of each request."""
        return self.rows[list(COMMON)].take(self.places[self.starts])

    def spans(self) -> Iterator[tuple[int, tuple[str, ...], int, int]]:
        """Yield each request's number and :data:`COMMON`, and where its images begin and end."""
        facts = zip(*(self.common[name].tolist() for name in COMMON), strict=True)
        numbers = self.chunk[self.starts].tolist()
        ends = self.ends[: len(numbers)].tolist()
        yield from zip(numbers, facts, self.starts.tolist(), ends, strict=True)

    def lists(self) -> Iterator[bytes | memoryview]:
        """Yield the images of each request as JSON, without the brackets."""
        pairs = list(zip(self.starts.tolist(), self.ends.tolist(), strict=False))
        if not len(self.places):
            return
        if not self.images.legal:  # only a ledger from elsewhere holds such a plan
            texts = self.images.texts()
            yield from (canonical_json(texts[start:end])[1:-1].encode() for start, end in pairs)
            return
        lines, places = self.images.quoted()
        wide = lines.shape[1]
        for number in range(0, len(pairs), _AT_ONCE):
            some = pairs[number : number + _AT_ONCE]
            first = some[0][0]
            text = lines.take(places[first : some[-1][1]], axis=0).reshape(-1).data
            for start, end in some:
                yield text[(start - first) * wide : (end - first) * wide - 1]

    def fingerprint(self) -> str:
        """SHA-256 over the requests, each as one line of canonical JSON."""
        sha = hashlib.sha256()
        rest = functools.cache(
            lambda *values: canonical_json(dict(zip(COMMON, values, strict=True)))
        )
        for (number, values, _, _), images in zip(self.spans(), self.lists(), strict=True):
            # In the order of their names, as canonical JSON has them.
            sha.update(b'{"chunk":%d,"images":[' % number)
            sha.update(images)
            sha.update(f"],{rest(*values)[1:]}\n".encode())
        for request in self.sharing.requests():
            sha.update(f"{canonical_json(request)}\n".encode())
        return sha.hexdigest()

    def chunks(self) -> pd.DataFrame:
        """Return one line per chunk, indexed by ``chunk``: :data:`COMMON`, ``images`` (int64)."""
        chunks = self.common.set_axis(pd.Index(self.chunk[self.starts], name="chunk"))
        chunks["images"] = self.ends[: len(self.starts)] - self.starts
        return pd.concat([chunks, self.sharing.chunks()]) if len(self.sharing.starts) else chunks


def cut_into_chunks(
    rows: pd.DataFrame, size: int, coded: Mapping[str, Coded] | None = None
) -> tuple[pd.DataFrame, Cut]:
    """Put the planned rows into chunks of one kind, by image ID.

    ``coded`` are fields that were numbered before.

    Returns
    -------
    rows : DataFrame
        With ``chunk`` (Int64, from 1; missing where nothing is sent).
    cut : Cut
        The same as requests.
    """
    known = coded or {}
    places, offered = _planned(rows, known)
    kind = _kinds(rows, places, known)
    order, images = _sorted(rows, places, kind, known.get("image_id"))
    chunk, starts = _numbered(kind[order], size)
    sharing = rectangles.cut(rows, offered, size, len(starts))
    numbers = np.zeros(len(rows), dtype="int64")
    numbers[places[order]] = chunk
    numbers[sharing.places] = sharing.chunk
    rows = rows.assign(chunk=pd.arrays.IntegerArray(numbers, numbers == 0))
    return rows, Cut(rows, places[order], images, chunk, starts, replace(sharing, rows=rows))


def cut_of(rows: pd.DataFrame) -> Cut:
    """Find the requests by the numbers that the rows have."""
    places, offered = _planned(rows, {})
    chunk = rows["chunk"].to_numpy("int64", na_value=0)[places]
    order, images = _sorted(rows, places, chunk)
    chunk, places = chunk[order], places[order]
    kind = _kinds(rows, places, {})
    # A new request begins with every change, so that no row of a chunk can differ unseen.
    begins = np.append(True, (chunk[1:] != chunk[:-1]) | (kind[1:] != kind[:-1]))[: len(chunk)]
    sharing = rectangles.found(rows, offered)
    return Cut(rows, places, images, chunk, np.flatnonzero(begins), sharing)


def fingerprint(rows: pd.DataFrame) -> str:
    """SHA-256 over the chunks, each as one canonical JSON line."""
    return cut_of(rows).fingerprint()


def members(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each chunk in order as a plain dict: ``chunk``, :data:`COMMON`, ``images`` (sorted).

    An owner's chunk has ``projects`` as well, and each image is meant with each of them.
    """
    cut = cut_of(rows)
    images = cut.images.texts()
    for number, values, start, end in cut.spans():
        common = dict(zip(COMMON, values, strict=True))
        yield {"chunk": number, **common, "images": images[start:end]}
    yield from cut.sharing.requests()


def _planned(rows: pd.DataFrame, known: Mapping[str, Coded]) -> tuple[Places, Places]:
    """Where planned rows stand: those of the member's side, and those of the owner's."""
    planned = (rows["disposition"] == "planned").to_numpy(dtype=bool)
    offered = Coded.of(rows["status"], known.get("status")).among(OWNER_ACTIONS)
    return np.flatnonzero(planned & ~offered), np.flatnonzero(planned & offered)


def _kinds(rows: pd.DataFrame, places: Places, known: Mapping[str, Coded]) -> Places:
    """Number the combinations of :data:`COMMON` at some places, in their order."""
    columns = (Coded.of(rows[name], known.get(name)) for name in COMMON)
    start = np.zeros(len(places), dtype=np.int64), 1
    parts = (
        (_ranks(column.words)[column.codes[places]], len(column.words))
        for column in columns
        if len(column.words) > 1
    )
    return functools.reduce(_combined, parts, start)[0]


def _combined(first: tuple[Places, int], then: tuple[Places, int]) -> tuple[Places, int]:
    """Make one number of two that keeps their order; each comes with how many there are."""
    (numbers, size), (more, count) = first, then
    if size * count > _LARGEST:
        known, numbers = np.unique(numbers, return_inverse=True)
        size = len(known)
    return numbers * count + more, size * count


def _ranks(words: pd.Series) -> Places:
    """Say for each of some distinct texts where it stands among them in order."""
    ranks = np.empty(len(words), dtype=np.int64)
    ranks[pc.sort_indices(pa.array(words)).to_numpy()] = np.arange(len(words))
    return ranks


def _sorted(
    rows: pd.DataFrame, places: Places, first: Places, known: Coded | None = None
) -> tuple[Places, Images]:
    """Sort places by a number, then by the image's ID: where each was, and the images in order."""
    coded = Coded.of(rows["image_id"], known)
    words = pa.chunked_array(pa.array(coded.words)).combine_chunks()
    codes = coded.codes[places]
    if len(words) * _REPEATED < len(codes):
        # Where images repeat, sorting each of them once and then numbers takes a third of the time.
        start = first, int(first.max(initial=0)) + 1
        order = _argsort(*_combined(start, (_ranks(coded.words)[codes], len(words))))
    else:
        keys = pa.table({"first": first, "image_id": words.take(pa.array(codes))})
        order = pc.sort_indices(keys, [("first", "ascending"), ("image_id", "ascending")])
        order = order.to_numpy().astype(np.int64)
    return order, Images(words, codes[order], coded.having(UUID))


def _argsort(numbers: Places, size: int) -> Places:
    """Sort numbers below ``size``; with its place beside each, they are sorted as they are."""
    bits = len(numbers).bit_length()
    if size.bit_length() + bits > _BITS:
        return np.argsort(numbers, kind="stable")
    places = np.arange(len(numbers))
    return np.sort(numbers << bits | places) & ((1 << bits) - 1)


def _numbered(kind: Places, size: int) -> tuple[Places, Places]:
    """Cut sorted rows into chunks of one kind each: their numbers from 1, and where each begins."""
    at = np.arange(len(kind))
    changes = np.append(True, kind[1:] != kind[:-1])[: len(kind)]
    within = at - np.maximum.accumulate(np.where(changes, at, 0))
    begins = within % size == 0
    return np.cumsum(begins, dtype=np.int64), np.asarray(np.flatnonzero(begins), dtype=np.int64)

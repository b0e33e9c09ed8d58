"""Planned rows as requests: which images go together, in what order, and their fingerprint."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from . import rectangles, spec
from .rectangles import COMMON, Places, Rectangles
from .schema import canonical
from .sides import by_owner

#: The fingerprint of a plan that sends nothing.
NOTHING: Final = hashlib.sha256().hexdigest()
#: So many rows an image make it worth while to look at each image once.
_REPEATED: Final = 4


@dataclass(frozen=True, eq=False)
class Cut:
    """Rows in the order of sending, with their chunks' numbers and where each request begins.

    ``legal`` says whether every image ID is one, so that it stands in JSON as it is. What owners
    do stands in ``sharing``.
    """

    rows: pd.DataFrame
    places: Places
    chunk: Places
    starts: Places
    legal: bool
    sharing: Rectangles

    @functools.cached_property
    def images(self) -> pa.Array:
        """The images of all requests, one after the other."""
        images = pa.array(self.rows["image_id"].take(self.places))
        return images.combine_chunks() if isinstance(images, pa.ChunkedArray) else images

    @property
    def ends(self) -> Places:
        """Where the requests end."""
        return np.append(self.starts[1:], len(self.places)).astype(np.int64)

    def spans(self) -> Iterator[tuple[int, tuple[str, ...], int, int]]:
        """Yield each request's number and :data:`COMMON`, and where its images begin and end."""
        common = self.rows[list(COMMON)].take(self.places[self.starts])
        facts = zip(*(common[name].tolist() for name in COMMON), strict=True)
        numbers = self.chunk[self.starts].tolist()
        ends = self.ends[: len(numbers)].tolist()
        yield from zip(numbers, facts, self.starts.tolist(), ends, strict=True)

    def lists(self) -> Iterator[str]:
        """Yield the images of each request as JSON."""
        if not len(self.starts):
            return
        if not self.legal:  # only a ledger from elsewhere holds such a plan
            texts = self.images.to_pylist()
            pairs = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
            yield from (canonical(texts[start:end]) for start, end in pairs)
            return
        offsets = pa.array(np.append(self.starts, len(self.places)).astype(np.int32))
        lists = pa.ListArray.from_arrays(offsets, self.images)
        joined = pc.binary_join(lists, pa.scalar('","', self.images.type))
        yield from (f'["{ids}"]' for ids in joined.to_pylist())

    def fingerprint(self) -> str:
        """SHA-256 over the requests, each as one line of canonical JSON."""
        sha = hashlib.sha256()
        rest = functools.cache(lambda *values: canonical(dict(zip(COMMON, values, strict=True))))
        for (number, values, _, _), images in zip(self.spans(), self.lists(), strict=True):
            # In the order of their names, as canonical JSON has them.
            line = f'{{"chunk":{number},"images":{images},{rest(*values)[1:]}\n'
            sha.update(line.encode())
        for request in self.sharing.requests():
            sha.update(f"{canonical(request)}\n".encode())
        return sha.hexdigest()

    def chunks(self) -> pd.DataFrame:
        """Return one line per chunk, indexed by ``chunk``: :data:`COMMON`, ``images`` (int64)."""
        chunks = self.rows[list(COMMON)].take(self.places[self.starts])
        chunks.index = pd.Index(self.chunk[self.starts], name="chunk")
        chunks["images"] = self.ends[: len(self.starts)] - self.starts
        return pd.concat([chunks, self.sharing.chunks()]) if len(self.sharing.starts) else chunks


def cut_into_chunks(rows: pd.DataFrame, size: int) -> tuple[pd.DataFrame, Cut]:
    """Put the planned rows into chunks of one kind, by image ID.

    Returns
    -------
    rows : DataFrame
        With ``chunk`` (Int64, from 1; missing where nothing is sent).
    cut : Cut
        The same as requests.
    """
    places, offered = _planned(rows)
    kind = _kinds(rows)[places]
    order, legal = _order(rows, places, kind)
    places, kind = places[order], kind[order]
    chunk, starts = _numbered(kind, size)
    sharing = rectangles.cut(rows, offered, size, len(starts))
    numbers = np.zeros(len(rows), dtype="int64")
    numbers[places] = chunk
    numbers[sharing.places] = sharing.chunk
    rows = rows.assign(chunk=pd.arrays.IntegerArray(numbers, numbers == 0))
    return rows, Cut(rows, places, chunk, starts, legal, replace(sharing, rows=rows))


def cut_of(rows: pd.DataFrame) -> Cut:
    """Find the requests by the numbers that the rows have."""
    places, offered = _planned(rows)
    chunk, kind = rows["chunk"].to_numpy("int64", na_value=0)[places], _kinds(rows)[places]
    order, legal = _order(rows, places, chunk)
    chunk, kind = chunk[order], kind[order]
    # A new request begins with every change, so that no row of a chunk can differ unseen.
    begins = np.append(True, (chunk[1:] != chunk[:-1]) | (kind[1:] != kind[:-1]))[: len(chunk)]
    sharing = rectangles.found(rows, offered)
    return Cut(rows, places[order], chunk, np.flatnonzero(begins), legal, sharing)


def fingerprint(rows: pd.DataFrame) -> str:
    """SHA-256 over the chunks, each as one canonical JSON line."""
    return cut_of(rows).fingerprint()


def members(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each chunk in order as a plain dict: ``chunk``, :data:`COMMON`, ``images`` (sorted).

    An owner's chunk has ``projects`` as well, and each image is meant with each of them.
    """
    cut = cut_of(rows)
    images = cut.images.to_pylist()
    for number, values, start, end in cut.spans():
        common = dict(zip(COMMON, values, strict=True))
        yield {"chunk": number, **common, "images": images[start:end]}
    yield from cut.sharing.requests()


def _planned(rows: pd.DataFrame) -> tuple[Places, Places]:
    """Where planned rows stand: those of the member's side, and those of the owner's."""
    planned = (rows["disposition"] == "planned").to_numpy(dtype=bool)
    offered = by_owner(rows["status"]).to_numpy(dtype=bool)
    return np.flatnonzero(planned & ~offered), np.flatnonzero(planned & offered)


def _kinds(rows: pd.DataFrame) -> Places:
    """Number the combinations of :data:`COMMON`, in their order."""
    return np.asarray(rows.groupby(list(COMMON), sort=True).ngroup(), dtype=np.int64)


def _order(rows: pd.DataFrame, places: Places, first: Places) -> tuple[Places, bool]:
    """Sort rows by a number, then by the image's ID; tell whether all of these are legal."""
    images = rows["image_id"].take(places)
    codes, words = pd.factorize(images)
    legal = all_legal(pa.array(words))
    if len(words) * _REPEATED < len(codes):
        # Where images repeat, sorting each of them once and then numbers takes half the time.
        rank = np.empty(len(words), dtype=np.int64)
        rank[pc.sort_indices(pa.array(words)).to_numpy()] = np.arange(len(words))
        # No share is planned twice, so that no two of these numbers are equal.
        return np.argsort(first * len(words) + rank[codes]), legal
    keys = pa.table({"first": pa.array(first), "image_id": pa.array(images)})
    order = pc.sort_indices(keys, [("first", "ascending"), ("image_id", "ascending")])
    return np.asarray(order, dtype=np.int64), legal


def all_legal(texts: pa.Array | pa.ChunkedArray, grammar: str = spec.UUID) -> bool:
    """Whether each of some texts is one by a grammar of :mod:`sharekit.spec`."""
    legal = pc.match_substring_regex(texts, rf"\A(?:{grammar})\z")
    return bool(pc.all(legal, min_count=0).as_py())


def _numbered(kind: Places, size: int) -> tuple[Places, Places]:
    """Cut sorted rows into chunks of one kind each: their numbers from 1, and where each begins."""
    at = np.arange(len(kind))
    changes = np.append(True, kind[1:] != kind[:-1])[: len(kind)]
    within = at - np.maximum.accumulate(np.where(changes, at, 0))
    begins = within % size == 0
    return np.cumsum(begins, dtype=np.int64), np.asarray(np.flatnonzero(begins), dtype=np.int64)

"""Canonical JSON, the hash that chains events, digests of rows, and trees of hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

#: What the first event names as the hash of the event before it.
GENESIS = "0" * 64
_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
)
#: Rows that are held as Python objects at one time.
_BATCH = 50_000


def canonical_json(value: object) -> str:
    """Return JSON in its one spelling: sorted keys, no blanks, UTF-8 without escapes.

    >>> canonical_json({"b": 1, "a": "é"})
    '{"a":"é","b":1}'
    """
    return _CANONICAL.encode(value)


def event_hash(seq: int, at: str, kind: str, body: str, prev: str) -> str:
    """Return the hash of an event, which covers the hash of the event before it."""
    text = "\n".join((str(seq), at, kind, body, prev))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def chain_errors(events: Iterable[Sequence[object]]) -> Iterator[tuple[str, str]]:
    """Yield where a chain of events (seq, at, kind, body, prev, hash) is broken, and how.

    >>> list(chain_errors([(2, "", "", "{}", GENESIS, "")]))
    [('event 1', 'is missing; the next event is 2')]
    """
    before: object = GENESIS
    for number, (seq, at, kind, body, prev, recorded) in enumerate(events, 1):
        if seq != number:
            yield f"event {number}", f"is missing; the next event is {seq}"
            return
        if not isinstance(recorded, str) or not isinstance(prev, str):
            yield f"event {seq}", "has a hash that is not text"
            return
        if prev != before:
            yield (
                f"event {seq}",
                f"follows on {prev[:12]}…, but the event before it is {before!s:.12}…",
            )
        computed = event_hash(number, str(at), str(kind), str(body), prev)
        if computed != recorded:
            yield (
                f"event {seq} ({kind})",
                f"was changed: it records the hash {recorded[:12]}…, but has {computed[:12]}…",
            )
        before = recorded


def digest(rows: Iterable[Sequence[object]]) -> str:
    """Return the SHA-256 of rows, written as one JSON array of arrays without blanks.

    >>> digest([(1, "a"), (2, None)]) == hashlib.sha256(b'[[1,"a"],[2,null]]').hexdigest()
    True
    """
    sha, rest, comma = hashlib.sha256(b"["), iter(rows), ""
    while batch := list(islice(rest, _BATCH)):
        text = json.dumps(batch, separators=(",", ":"), ensure_ascii=False)
        sha.update(f"{comma}{text[1:-1]}".encode("utf-8", "surrogatepass"))
        comma = ","
    sha.update(b"]")
    return sha.hexdigest()


# -- trees of hashes -----------------------------------------------------------------------------
def tree_paths(leaves: Sequence[str]) -> tuple[str, list[list[str]]]:
    """Return the root of a tree over SHA-256 hashes, and for each of them its path to the root.

    A path names the other half at each step, with its side: ``<`` is left, ``>`` is right. So a
    path of a few hashes proves that the root covers a leaf (:func:`tree_root`).

    >>> root, paths = tree_paths(["0a" * 32, "0b" * 32, "0c" * 32])
    >>> [len(path) for path in paths], tree_root("0c" * 32, paths[2]) == root
    ([2, 2, 1], True)
    """
    paths: list[list[str]] = [[] for _ in leaves]
    level = [(tree_root(leaf, []), [n]) for n, leaf in enumerate(leaves)]
    while len(level) > 1:
        above = []
        for (left, in_left), (right, in_right) in zip(level[::2], level[1::2], strict=False):
            for n in in_left:
                paths[n].append(f">{right}")
            for n in in_right:
                paths[n].append(f"<{left}")
            above.append((_join(left, right), in_left + in_right))
        level = above + level[len(level) // 2 * 2 :]
    return (level[0][0] if level else GENESIS), paths


def tree_root(leaf: str, path: Iterable[str]) -> str:
    """Return the root that a path leads to from a leaf; its steps are those of `tree_paths`."""
    root = hashlib.sha256(b"\0" + bytes.fromhex(leaf)).hexdigest()
    for step in path:
        root = _join(step[1:], root) if step[0] == "<" else _join(root, step[1:])
    return root


def _join(left: str, right: str) -> str:
    # Another first byte than a leaf has: nothing between the leaves can pass for one of them.
    return hashlib.sha256(b"\1" + bytes.fromhex(left + right)).hexdigest()

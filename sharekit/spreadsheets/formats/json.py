"""JSON: an array of objects, the answer of an API that holds one, or an object on each line.

Numbers keep every digit, a key that an object has twice is an error (the second one would win), and
so is what only attacks and mistakes contain: endless nesting, endless numbers.
"""

from __future__ import annotations

import itertools
import json
import operator
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard

import msgspec
import numpy as np
import pandas as pd
import pyarrow.compute as pc

from sharekit.core.errors import SpreadsheetError
from sharekit.spreadsheets.headers import match, unique_names
from sharekit.spreadsheets.input import Limits

from .columns import Column, Number, object_column, record_columns, sheet_of, value_text
from .raw_sheet import Blob, RawSheet

_SPACE: Final = re.compile(r"[ \t\r\n]*")
#: How a JSON text of objects begins; a single word or number is none, nor is RTF ("{\rtf").
BEGINNING: Final = rb"\s*(?:\{(?!\\)|\[\s*(?:[{\[\"\]]|\Z))"
#: A key that is written without escapes.
_PLAIN_KEY: Final = re.compile(r'[^"\\\x00-\x1f]*')
_SPACES: Final = b" ", b"\t", b"\n", b"\r"
#: Bytes in which the first of many objects ends.
_LONGEST_OBJECT: Final = 100_000
#: Characters of the longest number: no ID has more, and no computer counts so far.
_LONGEST_NUMBER: Final = 400

Record = dict[str, Any]


class _FaultyError(ValueError):
    """A text that is JSON, but holds what nobody can mean; the message says what."""


def read_json(
    blob: Blob, columns: Mapping[str, str], limits: Limits | None = None
) -> list[RawSheet]:
    """Read JSON, or one JSON object per line, as one sheet; each object is a row.

    Raises
    ------
    SpreadsheetError
        It is no JSON, holds no list of objects, or is beyond the limits.
    """
    limits = limits or Limits()
    if blob.size > limits.json_bytes:
        raise limits.refusal("json_bytes", blob.file, f"has {blob.size:,} bytes", "split it")
    if plain := _plain_array(blob.data):
        rows, width = len(plain[0].texts), len(plain)
        limits.check_dimensions(blob.file, "", rows + 1, width, rows * width + width)
        return [sheet_of("json", plain, pd.Index(np.arange(1, rows + 1)))]
    values = list(_values(blob))
    if len(values) == 1:
        form, records = "json", _records_in(values[0][1], blob.file, columns)
        lines = np.arange(1, len(records) + 1)
    else:
        form, records = "jsonl", [_record(value, blob.file, f"line {n}") for n, value in values]
        lines = np.array([number for number, _ in values], np.int64)
    keys = set(itertools.chain.from_iterable(records))
    limits.check_dimensions(
        blob.file, "", len(records) + 1, len(keys), sum(map(len, records)) + len(keys)
    )
    return [sheet_of(form, record_columns(records), pd.Index(lines))]


def _plain_array(data: bytes) -> list[Column]:
    """Read an array of objects of the same keys, as programs write it, in half of the time.

    Nothing is returned for everything else. The decoder keeps the last of two equal keys; that
    there are none, nor objects in objects, is seen by the number of colons after quotation marks,
    which texts can only raise.
    """
    if not (names := _first_keys(data)):
        return []
    fields = {f"f{i}": name for i, name in enumerate(names)}
    record: Any = msgspec.defstruct(
        "Record", [(field, Any) for field in fields], rename=fields, forbid_unknown_fields=True,
        gc=False,
    )  # fmt: skip
    try:
        records = msgspec.json.Decoder(list[record], float_hook=_number).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _FaultyError):
        return []
    keys = len(names) * len(records)
    spaced = data.count(b":") != keys and any(space + b":" in data for space in _SPACES)
    if spaced or data.count(b'":') != keys:
        return []
    columns = [
        object_column(value_text(name), list(map(operator.attrgetter(field), records)))
        for field, name in fields.items()
    ]
    return [] if any(map(_is_endless, columns)) else columns


def _is_endless(column: Column) -> bool:
    """Return True if a column holds a whole number longer than any that is admitted."""
    longest = pc.max(pc.binary_length(column.texts)).as_py()
    beyond = 10**_LONGEST_NUMBER
    return longest > _LONGEST_NUMBER and any(
        type(value) is int and abs(value) >= beyond for value in column.values
    )


def _first_keys(data: bytes) -> list[str]:
    """Return the keys of the first object of an array, if it is no longer than objects are."""
    start = data.find(b"{", 0, 100)
    if start < 0 or data[:start].strip() != b"[":
        return []
    try:
        first, _ = json.JSONDecoder().raw_decode(
            data[start:_LONGEST_OBJECT].decode(errors="ignore")
        )
    except (ValueError, RecursionError):
        return []
    return list(first) if all(map(_PLAIN_KEY.fullmatch, first)) else []


def _values(blob: Blob) -> Iterator[tuple[int, object]]:
    """Yield each value of a text, with the number of the line where it begins."""
    text = _text(blob)
    decoder = json.JSONDecoder(
        object_pairs_hook=_object, parse_int=_number, parse_float=_number,
        parse_constant=_constant,
    )  # fmt: skip
    line, seen, start = 1, 0, _end_of_space(text, 0)
    while start < len(text):
        line, seen = line + text.count("\n", seen, start), start
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise SpreadsheetError(
                f"{blob.file} is no JSON from line {error.lineno}, column {error.colno} on "
                f"({error.msg}); write it again with the program that made it."
            ) from error
        except _FaultyError as error:
            raise SpreadsheetError(
                f"{blob.file}: the JSON that begins in line {line} {error}."
            ) from error
        except RecursionError as error:
            raise SpreadsheetError(
                f"{blob.file}: the JSON that begins in line {line} is nested deeper than any "
                "list of shares; give an array of objects."
            ) from error
        yield line, value
        start = _end_of_space(text, end)


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _text(blob: Blob) -> str:
    try:
        return blob.data.decode(json.detect_encoding(blob.data)).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise SpreadsheetError(
            f"{blob.file} is no JSON: byte {error.start:,} is no {error.encoding.upper()}; "
            "save it as UTF-8."
        ) from error


def _object(pairs: list[tuple[str, object]]) -> Record:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _FaultyError(
            f"has an object with the key {twice!r} twice; keep the one that is right"
        )
    return made


def _number(text: str) -> Number:
    if len(text) > _LONGEST_NUMBER:
        raise _FaultyError(f"has a number of {len(text):,} digits; write IDs as texts")
    return Number(text)


def _constant(text: str) -> None:
    if text != "NaN":  # which Python writes for nothing
        raise _FaultyError(f"has the number {text}; write null where there is nothing")


def _records_in(value: object, file: str, columns: Mapping[str, str]) -> list[Record]:
    """Return the objects of an array, of the array in an API's answer, or the one object."""
    if _holds_objects(value):
        return value
    if isinstance(value, list):
        return [_record(item, file, f"item {n}") for n, item in enumerate(value, start=1)]
    record = _record(value, file, "the value")
    lists = {key: held for key, held in record.items() if _holds_objects(held)}
    own = unique_names([value_text(key) for key in record if key not in lists])
    if "image_id" in match(own, columns):
        return [record]
    if len(lists) > 1:
        raise SpreadsheetError(
            f"{file} holds several lists of objects ({', '.join(map(repr, lists))}); give a file "
            "with the one that is meant."
        )
    return next(iter(lists.values()), [record])


def _holds_objects(value: object) -> TypeGuard[list[Record]]:
    return isinstance(value, list) and set(map(type, value)) <= {dict}


def _record(value: object, file: str, where: str) -> Record:
    if isinstance(value, dict):
        return value
    raise SpreadsheetError(
        f"{file}: {where} is no JSON object; give an array with an object for each share, such as "
        '[{"image_id": "…", "project_id": "…", "status": "accepted"}] (of pandas: '
        'df.to_json(orient="records")).'
    )

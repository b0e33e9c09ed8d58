"""One cell at a time: the grammar of every value, and the repairs that are beyond doubt.

A repair is made only where the result is a legal value and no other reading is possible; each one
is recorded. Direction marks that change what a person sees are never taken out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sharekit.core.actions import ACTIONS, STATUS_WORDS
from sharekit.core.columns import Coded
from sharekit.core.fields import (
    FALSE_WORDS,
    FIELDS,
    GRAMMARS,
    ID_FIELDS,
    MANDATORY_FIELDS,
    TRUE_WORDS,
    UUID,
    VAULT_SHAPE,
)
from sharekit.core.rules import FORMAT_RULE, RULES
from sharekit.spreadsheets.inventory import Inventory

_BLANKS = r"[\s\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"
_INVISIBLE = r"[\x{ad}\x{200b}-\x{200e}\x{2060}\x{feff}]"
_DASHES = r"[\x{2010}-\x{2015}\x{2212}\x{fe63}\x{ff0d}]"
_QUOTES = r"^(=\"|urn:uuid:|[{(\[<\"'`\x{201c}\x{2018}])+|[})\]>\"'`\x{201d}\x{2019}]+$"
_SCIENTIFIC = r"[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+"
#: A spreadsheet's number has 15 digits, a program's up to 17; no real ID ends in so many zeros.
_LOST = r"[1-9][0-9]{0,16}0{15,}"
#: So many digits has an ID without its dashes.
_DIGITS: Final = 32
_UNDASHED = r"([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})"

#: One value in so many is seldom.
_SELDOM: Final = 8

Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Found:
    """One rule's hits: the rows' keys and the field.

    ``value`` stands in place of the cell's where it says more; ``detail`` adds to the message.
    Both are indexed by the row's key. ``source`` is that of a whole sheet, which then has no keys.
    """

    rule: str
    keys: Keys
    field: str = ""
    value: pd.Series | None = None
    note: str = ""
    source: int = -1
    detail: pd.Series | None = None


def normalise(inventory: Inventory) -> tuple[pd.DataFrame, list[Found], dict[str, Coded]]:
    """Return every row with its values as the API wants them, and what was found on the way.

    The frame has the inventory's index; columns ``source``, ``row`` and the fields of
    :data:`sharekit.core.fields.FIELDS` (str). A value that is wrong stays as it is. Last come the
    distinct values of each field but ``name``, numbered.
    """
    raw = inventory.rows
    rows = raw[["source", "row"]].copy()
    coded: dict[str, Coded] = {}
    found = _marked(inventory)
    spoiled = {
        field: {int(key) for f in found if f.field == field and _bad(f) for key in f.keys}
        for field in FIELDS
    }
    for field in FIELDS:
        if field == "name":  # all different, and nobody compares them
            rows[field], more = _plain(raw[field], field)
        else:
            known = Coded.of(raw[field], inventory.encoded.get(field))
            rows[field], more, coded[field] = _distinct(raw[field], known, field)
            if spoiled[field]:
                rows[field] = _unmended(raw[field], rows[field], spoiled[field])
                coded[field] = Coded.of(rows[field], coded[field])
        if field in MANDATORY_FIELDS:
            more += _missing(inventory, coded[field].among([""]), field)
        found += [_without(f, spoiled[field]) for f in more]
    return rows, _swapped([f for f in found if _says(f)]), coded


def _unmended(raw: pd.Series, fixed: pd.Series, spoiled: set[int]) -> pd.Series:
    """Leave what is wrong as it is: the digits of a number must not become an ID by mending."""
    keys = np.array(sorted(spoiled), dtype="int64")
    keys = keys[(raw.take(keys) != fixed.take(keys)).to_numpy(dtype=bool)]
    if not keys.size:
        return fixed
    whole = np.zeros(len(raw), dtype=bool)
    whole[keys] = True
    return _replaced(fixed, whole, raw.take(keys))


def statuses(raw: pd.Series) -> pd.Series:
    """Return the action each status cell means, one of :data:`~sharekit.core.actions.ACTIONS`.

    >>> statuses(pd.Series(["Yes", "rejected", "?"], dtype="str")).tolist()
    ['accepted', 'rejected', '?']
    """
    return _distinct(raw, Coded.of(raw), "status")[0]


def _distinct(raw: pd.Series, coded: Coded, field: str) -> tuple[pd.Series, list[Found], Coded]:
    """Look at each distinct value once, then say it of all rows that have it."""
    fixed, hits = _CELLS.get(field, _plain)(coded.words, field)
    found = []
    for f in hits:
        hit = np.zeros(len(fixed), dtype=bool)
        hit[f.keys] = True
        found.append(replace(f, keys=raw.index.to_numpy(dtype="int64")[hit[coded.codes]]))
    if fixed.equals(coded.words):
        return raw, found, coded
    changed = (fixed != coded.words).to_numpy(dtype=bool)[coded.codes]
    if np.count_nonzero(changed) * _SELDOM > len(raw):
        values = pd.Series(fixed.array.take(coded.codes), index=raw.index)
    else:  # in half the time
        values = _replaced(raw, changed, fixed.take(coded.codes[changed]))
    return values, found, coded.with_words(fixed, values)


def _plain(raw: pd.Series, _: str) -> tuple[pd.Series, list[Found]]:
    return raw.str.strip(), []


def _missing(inventory: Inventory, empty: npt.NDArray[np.bool_], field: str) -> list[Found]:
    """Find empty cells, and sheets that have no such column at all."""
    source = inventory.rows["source"].to_numpy()
    lacking = [i for i, s in enumerate(inventory.sources) if s.rows and field not in s.columns]
    without = [i for i in lacking if empty[source == i].all()]
    none = np.array([], dtype="int64")
    return [
        Found("missing", np.flatnonzero(empty & ~np.isin(source, without)), field),
        *(Found("column-missing", none, field, source=i) for i in without),
    ]


def _swapped(found: list[Found]) -> list[Found]:
    """Dashes missing here and too many there: either ID may be the other, so neither is mended."""
    dashes = {f.field: f.keys for f in found if f.rule == "repaired-dashes"}
    if not {"image_id", "project_id"} <= dashes.keys():
        return found
    keys = np.intersect1d(dashes["image_id"], dashes["project_id"])
    spared = [
        _without(f, set(keys.tolist()))
        if f.rule == "repaired-dashes" and f.field in ("image_id", "project_id")
        else f
        for f in found
    ]
    return [f for f in [*spared, Found("ids-swapped", keys, "image_id")] if _says(f)]


def _says(found: Found) -> bool:
    return len(found.keys) > 0 or found.source >= 0


def matches(values: pd.Series, pattern: str) -> pd.Series:
    r"""Say of each value whether the whole of it has the pattern (a line feed at the end counts).

    >>> matches(pd.Series(["ab", "ab\n"], dtype="str"), "[a-z]+").tolist()
    [True, False]
    """
    return values.str.contains(rf"\A(?:{pattern})\z", regex=True)


def _ids(raw: pd.Series, field: str) -> tuple[pd.Series, list[Found]]:
    grammar = GRAMMARS[field]
    strange = (~matches(raw, grammar) | raw.str.endswith("0" * 15)) & (raw != "")
    odd = raw[strange]
    if odd.empty:
        return raw, []
    steps = _steps(odd, field)
    fixed = steps[-1][1]
    undashed = steps[-2][1]
    lost = matches(undashed, _LOST) & (undashed.str.len() == _DIGITS)
    legal = matches(fixed, grammar) & ~lost
    shaped = ~legal & ~lost & (field == "vault_id")
    shaped &= matches(fixed, VAULT_SHAPE)
    usable, found, before = legal | shaped, [], odd
    for rule, after in steps:
        found.append(Found(rule, keys_of((after != before) & usable), field))
        before = after
    damaged = ~usable & matches(odd, _SCIENTIFIC)
    blank = ~usable & (fixed == "")
    found.append(Found("scientific-number", keys_of(damaged), field))
    found.append(Found("digits-lost", keys_of(lost), field))
    found.append(Found(FORMAT_RULE[field], keys_of(~usable & ~damaged & ~lost & ~blank), field))
    found.append(Found("vault-id-not-hex", keys_of(shaped), field))
    mended = fixed.where(usable, odd).where(~blank, "")
    return _replaced(raw, strange.to_numpy(dtype=bool), mended), found


def _replaced(values: pd.Series, where: npt.NDArray[np.bool_], by: pd.Series) -> pd.Series:
    # Arrow does at once what pandas' setting of items takes long for.
    new = pa.chunked_array(pa.array(by)).combine_chunks()
    made = pc.replace_with_mask(pa.chunked_array(pa.array(values)), pa.array(where), new)
    return pd.Series(pd.array(made, dtype="str"), index=values.index)


def _steps(odd: pd.Series, field: str) -> list[tuple[str, pd.Series]]:
    seen = odd.str.replace(_INVISIBLE, "", regex=True)
    tight = seen.str.replace(_BLANKS, "", regex=True)
    bare = tight.str.replace(_QUOTES, "", regex=True)
    lower = bare.str.lower()
    dashed = lower.str.replace(_DASHES, "-", regex=True)
    if field == "project_id":
        whole = matches(dashed, UUID)
        dashed = dashed.where(~whole, dashed.str.replace("-", "", regex=False))
    else:
        whole = matches(dashed, _UNDASHED)
        dashed = dashed.where(
            ~whole, dashed.str.replace(rf"^{_UNDASHED}$", r"\1-\2-\3-\4-\5", regex=True)
        )
    names = ("invisible", "blanks", "braces", "case", "dashes")
    return [
        (f"repaired-{name}", step)
        for name, step in zip(names, (seen, tight, bare, lower, dashed), strict=True)
    ]


def _words(words: pd.Series, field: str) -> tuple[pd.Series, list[Found]]:
    plain = words.str.replace(_INVISIBLE, "", regex=True)
    plain = plain.str.replace(rf"^{_BLANKS}+|{_BLANKS}+$", "", regex=True).str.lower()
    bare = plain.str.replace(_QUOTES, "", regex=True)
    if field == "whole_image":
        yes, no = bare.isin(TRUE_WORDS), bare.isin(FALSE_WORDS)
        result = pd.Series("", index=words.index, dtype="str")
        result = result.where(~yes, "true").where(~(no & (bare != "")), "false")
        hits = {
            "repaired-braces": (yes | no) & (bare != plain),
            "whole-image-unclear": ~(yes | no),
        }
    else:
        meant = bare.map(STATUS_WORDS).fillna(bare).astype("str")
        legal = meant.isin(ACTIONS)
        result = meant.where(legal, words.where(plain != "", ""))
        hits = {
            "repaired-braces": legal & (bare != plain),
            "repaired-status": legal & (meant != bare),
            "repaired-case": legal & (meant == bare) & (words.str.lower() == plain)
            & (words != plain),
            "repaired-blanks": legal & (words.str.lower() != plain),
            "status-unknown": ~legal & (plain != ""),
        }  # fmt: skip
    return result, [Found(rule, keys_of(hit), field) for rule, hit in hits.items() if hit.any()]


#: field -> what looks at its cells: values in, values as the API wants them and hits out.
_CELLS: Final = {
    **dict.fromkeys(ID_FIELDS, _ids),
    **dict.fromkeys(("status", "whole_image"), _words),
}


def _marked(inventory: Inventory) -> list[Found]:
    found = []
    issues = inventory.cell_issues
    for (rule, field, source), group in issues.groupby(["rule", "field", "source"], observed=True):
        name, column = str(rule), str(field)
        if group["row_key"].iloc[0] < 0:
            note = ", ".join(filter(None, group["value"]))
            none = np.array([], dtype="int64")
            found.append(Found(name, none, column, None, note, int(str(source))))
        else:
            by_row = group.set_index("row_key")
            detail = by_row["detail"] if by_row["detail"].any() else None
            keys = group["row_key"].to_numpy("int64")
            found.append(Found(name, keys, column, by_row["value"], detail=detail))
    return found


def _bad(found: Found) -> bool:
    return RULES[found.rule].severity == "error"


def _without(found: Found, spoiled: set[int]) -> Found:
    if not spoiled:
        return found
    return replace(found, keys=found.keys[~np.isin(found.keys, list(spoiled))])


def keys_of(mask: pd.Series) -> Keys:
    """The keys of the rows for which a mask holds."""
    keys: Keys = mask.index.to_numpy(dtype="int64")[mask.to_numpy(dtype=bool)]
    return keys

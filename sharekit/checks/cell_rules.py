"""Rules of single cells: the grammar of every value, and the repairs that are beyond doubt.

A repair is made only where the result is a legal value and nothing else can be meant; each is
listed as a finding. Direction marks that change what a person sees are never taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.actions import ACTIONS, PENDING
from sharekit.core.columns import STR, EncodedColumn, replace_all, replace_where
from sharekit.core.fields import (
    FIELDS,
    GRAMMARS,
    ID_FIELDS,
    INPUT_PREFIX,
    MANDATORY_FIELDS,
    UUID,
    VAULT_SHAPE,
)
from sharekit.core.rules import FORMAT_RULE, RULES
from sharekit.spreadsheets.headers import describe_headers
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.vocabulary import FALSE_WORDS, STATUS_WORDS, TRUE_WORDS

from .hits import NO_KEYS, Keys, RuleHits, fullmatch, row_keys

_BLANKS = r"[\s\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"
_INVISIBLE = r"[\x{ad}\x{200b}-\x{200e}\x{2060}\x{feff}]"
_DASHES = r"[\x{2010}-\x{2015}\x{2212}\x{fe63}\x{ff0d}]"
_QUOTES = r"^(=\"|urn:uuid:|[{(\[<\"'`\x{201c}\x{2018}])+|[})\]>\"'`\x{201d}\x{2019}]+$"
_SCIENTIFIC = r"[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+"
#: A spreadsheet keeps 15 digits of a number, a program up to 17; no real ID ends in so many zeros.
_PRECISION_LOST = r"[1-9][0-9]{0,16}0{15,}"
_LOST_ZEROS: Final = "0" * 15
#: Digits of an ID without its dashes.
_DIGITS: Final = 32
_UNDASHED = r"([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})"

Mask = NDArray[np.bool_]
#: Distinct values of a field in; the values as the API takes them, and hits by position, out.
CellRule = Callable[[pd.Series, str], tuple[pd.Series, list[RuleHits]]]


def normalize_rows(inventory: Inventory) -> tuple[pd.DataFrame, list[RuleHits]]:
    """Return every row with its values as the API takes them, and the hits.

    The frame has the inventory's index; its columns are ``source``, ``row`` and the fields of
    :data:`sharekit.core.fields.FIELDS` (str). A value that is wrong stays as it is.
    """
    raw = inventory.rows
    rows = raw[["source", "row"]].copy()
    hits = _hits_from_cell_issues(inventory)
    errors = [h for h in hits if RULES[h.rule].severity == "error"]
    for field in FIELDS:
        of_field = [h.keys for h in errors if h.field == field]
        invalid = np.unique(np.concatenate([NO_KEYS, *of_field]))
        rows[field], more = _apply_per_distinct_value(raw[field], field)
        if invalid.size:
            rows[field] = _restore_invalid(raw[field], rows[field], invalid)
        if field in MANDATORY_FIELDS:
            more += _missing(inventory, (rows[field] == "").to_numpy(dtype=bool), field)
        hits += [h.excluding(invalid) for h in more]
    hits = _allow_restored(rows["status"], hits)
    return rows, _detect_swapped_ids([h for h in hits if not h.is_empty])


def _allow_restored(status: pd.Series, hits: list[RuleHits]) -> list[RuleHits]:
    """Allow ``pending`` as an action where a run is undone, and nowhere else."""
    restored = [h.keys for h in hits if h.rule == "undo-to-pending"]
    if not restored:
        return hits
    keys = np.concatenate(restored)
    keys = keys[(status.take(keys) == PENDING).to_numpy()]
    return [h.excluding(keys) if h.rule == FORMAT_RULE["status"] else h for h in hits]


def statuses(raw: pd.Series) -> pd.Series:
    """Return the action each status cell means, one of :data:`~sharekit.core.actions.ACTIONS`.

    >>> statuses(pd.Series(["Yes", "rejected", "?"], dtype="str")).tolist()
    ['accepted', 'rejected', '?']
    """
    return repaired(raw, "status")


def repaired(raw: pd.Series, field: str) -> pd.Series:
    """Return the values of a field's cells as the API takes them; what is wrong stays as it is.

    >>> repaired(pd.Series([" {0123456789ABCDEF0123456789ABCDEF}"], dtype="str"), "project_id")[0]
    '0123456789abcdef0123456789abcdef'
    """
    return _apply_per_distinct_value(raw, field)[0]


def _hits_from_cell_issues(inventory: Inventory) -> list[RuleHits]:
    """Return what the reader saw of cells and sheets beyond their text."""
    hits = _left_out_sheets(inventory)
    issues = inventory.cell_issues
    issues = issues[issues["rule"] != "sheet-without-header"]
    # One rule can concern cells of a sheet and the sheet itself, as a crossed-out header does.
    kinds = [issues["rule"], issues["field"], issues["source"], issues["row_key"] < 0]
    for (rule, field, source, of_sheet), group in issues.groupby(kinds, observed=True):
        if of_sheet:
            note = ", ".join(filter(None, group["value"]))
            hits.append(
                RuleHits(str(rule), NO_KEYS, str(field), source=int(str(source)), sheet_note=note)
            )
        else:
            by_row = group.set_index("row_key")
            detail = by_row["detail"] if by_row["detail"].any() else None
            keys = group["row_key"].to_numpy("int64")
            hits.append(RuleHits(str(rule), keys, str(field), by_row["value"], detail))
    return hits


def _left_out_sheets(inventory: Inventory) -> list[RuleHits]:
    """Return one hit for each file with sheets that are no lists of shares; it names them all."""
    rule = "sheet-without-header"
    issues = inventory.cell_issues[inventory.cell_issues["rule"] == rule]
    files = issues["source"].map(lambda source: inventory.sources[source].file)
    return [
        RuleHits(
            rule, NO_KEYS, source=int(sheets["source"].iloc[0]),
            sheet_note=", ".join(sheets["value"]),
        )
        for _, sheets in issues.groupby(files)
    ]  # fmt: skip


def _restore_invalid(raw: pd.Series, fixed: pd.Series, invalid: Keys) -> pd.Series:
    """Leave wrong cells as they are: the digits of a number must not become an ID by repairs."""
    keys = invalid[(raw.take(invalid) != fixed.take(invalid)).to_numpy(dtype=bool)]
    if not keys.size:
        return fixed
    mask = np.zeros(len(raw), dtype=bool)
    mask[keys] = True
    return replace_where(fixed, mask, raw.take(keys))


def _apply_per_distinct_value(raw: pd.Series, field: str) -> tuple[pd.Series, list[RuleHits]]:
    """Apply a field's rule to each distinct value once, and its result to all rows with it."""
    encoded = EncodedColumn.encode(raw)
    fixed, of_values = _CELL_RULES.get(field, _strip)(encoded.categories, field)
    hits = []
    for h in of_values:
        hit = np.zeros(len(fixed), dtype=bool)
        hit[h.keys] = True
        hits.append(replace(h, keys=raw.index.to_numpy(dtype="int64")[hit[encoded.codes]]))
    if fixed.equals(encoded.categories):
        return encoded.to_series(raw.index), hits
    return encoded.recode(fixed).to_series(raw.index), hits


def _missing(inventory: Inventory, empty: Mask, field: str) -> list[RuleHits]:
    """Find empty cells, and sheets that have no such column at all."""
    source = inventory.rows["source"].to_numpy()
    lacking = [i for i, s in enumerate(inventory.sources) if s.rows and field not in s.columns]
    without = [i for i in lacking if empty[source == i].all()]
    return [
        RuleHits("missing", np.flatnonzero(empty & ~np.isin(source, without)), field),
        *(
            RuleHits(
                "column-missing", NO_KEYS, field, source=i,
                sheet_detail=describe_headers(_headers(inventory, source == i), field),
            )
            for i in without
        ),
    ]  # fmt: skip


def _headers(inventory: Inventory, own: Mask) -> list[str]:
    """Return the headers of the columns that hold anything in some rows: those of a sheet."""
    columns = [name for name in inventory.rows if str(name).startswith(INPUT_PREFIX)]
    rows = inventory.rows.loc[own, columns]
    return [str(name).removeprefix(INPUT_PREFIX) for name in columns if (rows[name] != "").any()]


def _detect_swapped_ids(hits: list[RuleHits]) -> list[RuleHits]:
    """Report IDs in each other's column: dashes missing in one and too many in the other.

    Either ID may be the other one, so neither is repaired.
    """
    dashes = {h.field: h.keys for h in hits if h.rule == "repaired-dashes"}
    if not {"image_id", "project_id"} <= dashes.keys():
        return hits
    keys = np.intersect1d(dashes["image_id"], dashes["project_id"])
    repaired = {("repaired-dashes", "image_id"), ("repaired-dashes", "project_id")}
    kept = [h.excluding(keys) if (h.rule, h.field) in repaired else h for h in hits]
    return [h for h in [*kept, RuleHits("ids-swapped", keys, "image_id")] if not h.is_empty]


# -- rules of fields ---------------------------------------------------------------------------
def _strip(raw: pd.Series, _: str) -> tuple[pd.Series, list[RuleHits]]:
    return raw.str.strip(), []


def _normalize_ids(raw: pd.Series, field: str) -> tuple[pd.Series, list[RuleHits]]:
    grammar = GRAMMARS[field]
    doubtful = (~fullmatch(raw, grammar) | raw.str.endswith(_LOST_ZEROS)) & (raw != "")
    values = raw[doubtful]
    if values.empty:
        return raw, []
    steps = _repair_steps(values, field)
    fixed, undashed = steps[-1][1], steps[-2][1]
    lost = fullmatch(undashed, _PRECISION_LOST) & (undashed.str.len() == _DIGITS)
    legal = fullmatch(fixed, grammar) & ~lost
    shaped = ~legal & ~lost & (field == "vault_id") & fullmatch(fixed, VAULT_SHAPE)
    usable, hits, before = legal | shaped, [], values
    for rule, after in steps:
        hits.append(RuleHits.where((after != before) & usable, rule, field))
        before = after
    scientific = ~usable & fullmatch(values, _SCIENTIFIC)
    blank = ~usable & (fixed == "")
    hits += [
        RuleHits.where(scientific, "scientific-number", field),
        RuleHits.where(lost, "precision-lost", field),
        RuleHits.where(~usable & ~scientific & ~lost & ~blank, FORMAT_RULE[field], field),
        RuleHits.where(shaped, "vault-id-not-hex", field),
    ]
    repaired = fixed.where(usable, values).where(~blank, "")
    return replace_where(raw, doubtful.to_numpy(dtype=bool), repaired), hits


def _repair_steps(values: pd.Series, field: str) -> list[tuple[str, pd.Series]]:
    """Return the values after each repair, with the rule that reports it."""
    visible = replace_all(values, _INVISIBLE, "")
    tight = replace_all(visible, _BLANKS, "")
    bare = replace_all(tight, _QUOTES, "")
    lower = bare.str.lower()
    dashed = replace_all(lower, _DASHES, "-")
    if field == "project_id":
        uuid = fullmatch(dashed, UUID)
        dashed = dashed.where(~uuid, dashed.str.replace("-", "", regex=False))
    else:
        undashed = fullmatch(dashed, _UNDASHED)
        with_dashes = replace_all(dashed, rf"^{_UNDASHED}$", r"\1-\2-\3-\4-\5")
        dashed = dashed.where(~undashed, with_dashes)
    return [
        ("repaired-invisible", visible),
        ("repaired-blanks", tight),
        ("repaired-braces", bare),
        ("repaired-case", lower),
        ("repaired-dashes", dashed),
    ]


def _normalize_words(words: pd.Series, field: str) -> tuple[pd.Series, list[RuleHits]]:
    composed = words.str.normalize("NFC")  # a letter and its accent may be two characters
    plain = replace_all(composed, _INVISIBLE, "")
    plain = replace_all(plain, rf"^{_BLANKS}+|{_BLANKS}+$", "").str.lower()
    bare = replace_all(plain, _QUOTES, "")
    if field == "whole_image":
        true, false = bare.isin(TRUE_WORDS), bare.isin(FALSE_WORDS)
        result = pd.Series("", index=words.index, dtype=STR)
        result = result.where(~true, "true").where(~(false & (bare != "")), "false")
        hits = {
            "repaired-braces": (true | false) & (bare != plain),
            "whole-image-unclear": ~(true | false),
        }
    else:
        action = bare.map(STATUS_WORDS).fillna(bare).astype(STR)
        legal = action.isin(ACTIONS)
        result = action.where(legal, words.where(plain != "", ""))
        hits = {
            "repaired-braces": legal & (bare != plain),
            "repaired-status": legal & (action != bare),
            "repaired-case": legal & (action == bare) & (composed.str.lower() == plain)
            & (composed != plain),
            "repaired-blanks": legal & (composed.str.lower() != plain),
            "status-unknown": ~legal & (plain != ""),
        }  # fmt: skip
    return result, [RuleHits(rule, row_keys(hit), field) for rule, hit in hits.items() if hit.any()]


_CELL_RULES: Final[dict[str, CellRule]] = {
    **dict.fromkeys(ID_FIELDS, _normalize_ids),
    **dict.fromkeys(("status", "whole_image"), _normalize_words),
}

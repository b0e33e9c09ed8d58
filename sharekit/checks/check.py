"""Every row checked against every rule at once: the inventory in, findings out.

Nothing here stops at the first problem, guesses an ID, or asks a person; bad data is a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from sharekit.clouds.registry import Clouds
from sharekit.clouds.state import snapshot
from sharekit.clouds.state.snapshot import Progress, Snapshot
from sharekit.core import frame_schemas
from sharekit.core.actions import ACTIONS, DECISIONS
from sharekit.core.columns import Coded, is_owner_action
from sharekit.core.html import table
from sharekit.core.rules import RULES, SEVERITIES, severity
from sharekit.spreadsheets.inventory import Inventory

from . import owner_rules, row_rules
from .cell_rules import Found, Keys, normalise
from .vault_rules import vault_room, with_copies

#: The columns of a finding, for people and for scripts.
COLUMNS = frame_schemas.REPORTED_FINDINGS.names


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """What the checks found, and every row as it would be sent.

    Attributes
    ----------
    inventory : Inventory
        What was checked.
    rows : DataFrame
        Indexed by ``row_key``: ``source, row``, the fields of a share (``fields.FIELDS``) with
        repairs done (str), ``before`` (the cloud's state, ``""`` unknown), ``disposition``
        (``planned``, ``already``, ``blocked``, ``duplicate`` or ``skipped``) and ``carried_by``
        (Int64: the row that carries a duplicate).
    frame : DataFrame
        One line per finding: :data:`COLUMNS`, with ``row_key`` (-1: a whole sheet) and ``field``.
    snapshot : Snapshot or None
        What the clouds showed, if there were any to ask.
    strict : bool
        Whether warnings count as errors.
    coded : Mapping[str, Coded]
        Fields as the checks have numbered them, to save the plan from doing it again.
    """

    inventory: Inventory
    rows: pd.DataFrame
    frame: pd.DataFrame
    snapshot: Snapshot | None = None
    strict: bool = False
    coded: Mapping[str, Coded] = field(default_factory=dict)

    def count(self, *severities: str) -> int:
        """How many findings there are of some severities."""
        return int(self.frame["severity"].isin(severities).sum())

    @property
    def counts(self) -> dict[str, int]:
        """Rows and findings: ``rows, errors, warnings, repairs``."""
        return {
            "rows": len(self.rows),
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "repairs": self.count("repair"),
        }

    @property
    def summary(self) -> dict[str, object]:
        """:attr:`counts` with every finding as a dict, for scripts."""
        return self.counts | {"findings": self.frame[list(COLUMNS)].to_dict("records")}

    def __repr__(self) -> str:
        numbers = ", ".join(f"{number:,} {name}" for name, number in self.counts.items())
        return f"<Findings: {numbers}>"

    @property
    def by_rule(self) -> pd.DataFrame:
        """One line per rule that was hit: ``severity, rule, cells, message, suggestion``."""
        order = {name: rank for rank, name in enumerate(SEVERITIES)}
        lines = self.frame.groupby(["severity", "rule"]).size().rename("cells").reset_index()
        lines["message"] = [RULES[n].message.format(field="a value") for n in lines["rule"]]
        lines["suggestion"] = [RULES[n].suggestion for n in lines["rule"]]
        lines["rank"] = lines["severity"].map(order)
        lines = lines.sort_values(["rank", "cells"], ascending=[True, False])
        return lines.drop(columns="rank").reset_index(drop=True)

    def _repr_html_(self) -> str:
        first = self.frame[self.frame["severity"] == "error"].head(10)
        columns = ["file", "sheet", "cell", "value", "message", "suggestion"]
        shown = table(self.by_rule, title=repr(self)[1:-1])
        return shown + (table(first[columns], title="The first errors") if len(first) else "")


def check(
    inventory: Inventory,
    clouds: Clouds | None = None,
    *,
    strict: bool = False,
    seen: Snapshot | None = None,
    decisions: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> Findings:
    """Check every row against every rule.

    Parameters
    ----------
    inventory : Inventory
        From :func:`sharekit.read_inventory`.
    clouds : Clouds, optional
        From :func:`sharekit.connect`; then each share is compared with what its cloud shows.
    strict : bool
        Let warnings count as errors, which block a row.
    seen : Snapshot, optional
        Compare with this state instead of asking the clouds again.
    decisions : DataFrame, optional
        A reviewer's word, indexed by ``row_key``: ``decision`` (accept or reject, share or
        unshare, or skip; ``""`` for as it is), and ``vault_id`` where one was chosen.
    progress : callable, optional
        Called as ``progress(what, done, total)``.

    Returns
    -------
    Findings

    Raises
    ------
    CloudError
        If a cloud cannot be read.

    Examples
    --------
    >>> import sharekit
    >>> findings = sharekit.check(sharekit.read_inventory("shares.xlsx"))  # doctest: +SKIP
    """
    rows, found, coded = normalise(inventory)
    skipped, wrong = _decide(rows, decisions)
    if decisions is not None:
        # The reviewer's word stands in place of whatever the status cell held.
        found = [*(_overruled(f, decisions) for f in found), *wrong]
    coded |= {name: Coded.of(rows[name], coded[name]) for name in ("status", "vault_id")}
    found += row_rules.vault_rules(rows, coded)
    rows["before"] = ""
    pairs = row_rules.shares_of(*(coded[name] for name in ("image_id", "project_id", "status")))
    if seen is None and clouds is not None:
        seen = snapshot.take(clouds, rows[pairs.legal], progress)
    if seen is not None:
        found += row_rules.cloud_rules(rows, pairs, seen)
    found += owner_rules.owner_rules(rows, pairs, seen, skipped)
    found = [_spare(f, skipped) if RULES[f.rule].phase != "cell" else f for f in found]
    blocked = _blocked(rows, found, strict=strict)
    twice, carried = row_rules.twice(rows, pairs, blocked, skipped, partial(_places, inventory))
    twice = [part for f in twice for part in _files_apart(inventory, f, carried)]
    found += twice
    blocked |= _blocked(rows, twice, strict=strict)
    already = rows.index.isin([int(key) for f in found if f.rule == "already" for key in f.keys])
    if seen is not None:
        going = ~blocked & carried.isna() & ~already & (rows["vault_id"] != "")
        going[skipped] = False
        full = with_copies(vault_room(rows[going], seen), carried)
        found += full
        blocked |= _blocked(rows, full, strict=strict)
    rows["carried_by"] = carried.where(~blocked).astype("Int64")
    rows["disposition"] = _dispositions(
        rows.index.isin(skipped),
        blocked.to_numpy(),
        rows["carried_by"].notna().to_numpy(),
        already,
    )
    # What is forbidden is not also "already so, nothing to send": of two answers the no counts.
    hindered = np.flatnonzero(blocked)
    found = [_spare(f, hindered) if f.rule == "already" else f for f in found]
    frame = _frame(inventory, found, strict=strict)
    return Findings(inventory, rows, frame, seen, strict, coded)


def first_errors(findings: Findings, *, without: str = "") -> pd.DataFrame:
    """Return for each row with an error the first one: ``rule, message``, by ``row_key``.

    What is wrong with a whole sheet counts for each of its rows; errors of the field ``without``
    do not count.
    """
    found = findings.frame
    errors = found[(found["severity"] == "error") & ((found["field"] != without) | (without == ""))]
    cells = errors[errors["row_key"] >= 0].drop_duplicates("row_key")
    first = cells.set_index("row_key")[["rule", "message"]]
    sheets = errors[errors["row_key"] < 0].drop_duplicates(["file", "sheet"])
    if sheets.empty:
        return first
    sources = findings.inventory.sources
    places = pd.DataFrame({"file": [s.file for s in sources], "sheet": [s.sheet for s in sources]})
    of_sheet = places.merge(sheets, on=["file", "sheet"], how="left")[["rule", "message"]]
    others = findings.rows.loc[~findings.rows.index.isin(first.index), "source"]
    lines = of_sheet.take(others.to_numpy()).set_axis(others.index).dropna()
    return pd.concat([first, lines])


def _dispositions(*masks: npt.NDArray[np.bool_]) -> pd.api.extensions.ExtensionArray:
    """Say for each row which of the masks, in this order, is the first to hold."""
    names = pd.array(["skipped", "blocked", "duplicate", "already", "planned"], dtype="str")
    codes = np.full(len(masks[0]), len(masks))
    for code, mask in reversed(list(enumerate(masks))):
        codes[mask] = code
    return names.take(codes)


def _decide(rows: pd.DataFrame, decisions: pd.DataFrame | None) -> tuple[Keys, list[Found]]:
    """Put the reviewer's word in place of the inventory's; return the rows that are skipped."""
    if decisions is None:
        return np.array([], dtype="int64"), []
    status = decisions["decision"].map(DECISIONS).dropna().astype("str")
    was = rows.loc[status.index, "status"]
    # Where the cell says nothing that is legal, either side may be meant.
    wrong = (is_owner_action(status) != is_owner_action(was)) & was.isin(ACTIONS)
    detail = "decided: " + decisions["decision"].loc[status.index].astype("str")
    said = Found("wrong-side", status.index.to_numpy("int64")[wrong], "status", detail=detail)
    status = status[~wrong]
    rows.loc[status.index, "status"] = status
    if "vault_id" in decisions:
        vaults = decisions.loc[decisions["vault_id"] != "", "vault_id"]
        rows.loc[vaults.index, "vault_id"] = vaults
    skipped = decisions.index[decisions["decision"] == "skip"].to_numpy(dtype="int64")
    return skipped, [said]


def _overruled(found: Found, decisions: pd.DataFrame) -> Found:
    column = {"status": "decision", "vault_id": "vault_id"}.get(found.field)
    if column not in decisions:
        return found
    return _spare(found, decisions.index[decisions[column] != ""].to_numpy())


def _files_apart(inventory: Inventory, found: Found, carried: pd.Series) -> list[Found]:
    """Tell duplicates that only come from reading one file twice from all others."""
    if found.rule != "duplicate" or not len(found.keys):
        return [found]
    sources = pd.DataFrame([(s.sha256, s.sheet) for s in inventory.sources])
    numbers = sources.groupby([0, 1]).ngroup().to_numpy()
    own = inventory.rows["source"].to_numpy()
    theirs = own[carried.to_numpy()[found.keys].astype("int64")]
    mine = own[found.keys]
    same = (mine != theirs) & (numbers[mine] == numbers[theirs])
    return [
        replace(found, keys=found.keys[~same], detail=_at(found.detail, ~same)),
        replace(found, rule="file-twice", keys=found.keys[same], detail=_at(found.detail, same)),
    ]


def _at(detail: pd.Series | None, mask: npt.NDArray[np.bool_]) -> pd.Series | None:
    return None if detail is None else detail[mask]


def _spare(found: Found, keys: Keys) -> Found:
    kept = found.keys[~np.isin(found.keys, keys)]
    return replace(found, keys=kept)


def _places(inventory: Inventory, keys: Keys, field: str) -> npt.NDArray[np.object_]:
    """Name rows by a field's cell, or else their image ID's, and by file and sheet if many."""
    rows = inventory.rows[["file", "sheet", "row", "source"]].take(keys)
    cells = inventory.cell_addresses(rows, "image_id")
    own = inventory.cell_addresses(rows, field)
    cells = own.where(own != "", cells)
    if len(inventory.sources) > 1:
        cells = rows["file"].astype("str") + " " + rows["sheet"].astype("str") + " " + cells
    return cells.str.replace("  ", " ", regex=False).to_numpy(dtype=object)


def _blocked(rows: pd.DataFrame, found: Iterable[Found], *, strict: bool) -> pd.Series:
    errors = [f for f in found if severity(f.rule, strict=strict) == "error"]
    sheets = [f.source for f in errors if f.source >= 0]
    hit = rows["source"].isin(sheets).to_numpy(copy=True)
    for f in errors:
        hit[f.keys] = True  # row keys count from 0, so they are positions
    return pd.Series(hit, index=rows.index)


def _frame(inventory: Inventory, found: list[Found], *, strict: bool) -> pd.DataFrame:
    cells = [f for f in found if len(f.keys) and f.source < 0]
    sheets = [f for f in found if f.source >= 0]
    said = _said([*cells, *sheets], strict=strict)
    hit = np.repeat(np.arange(len(said)), [*map(_length, cells), *(1 for _ in sheets)])
    lines = pd.concat([_cell_lines(inventory, cells), _sheet_lines(inventory, sheets)])
    order = np.lexsort((said["place"].to_numpy()[hit], lines["row_key"].to_numpy()))
    said = said.drop(columns="place").take(hit[order]).reset_index(drop=True)
    lines = lines.take(order).reset_index(drop=True)
    lines = pd.concat([lines, said], axis="columns")
    lines["message"] += (" (" + lines["detail"] + ")").where(lines["detail"] != "", "")
    return lines[["row_key", "field", *COLUMNS]]


def _length(found: Found) -> int:
    return len(found.keys)


def _said(found: list[Found], *, strict: bool) -> pd.DataFrame:
    """What each rule says of its hits, and where it stands among the others."""
    ranks = {name: rank for rank, name in enumerate(RULES)}
    places = sorted(range(len(found)), key=lambda i: (ranks[found[i].rule], found[i].field))
    lines = [
        (
            f.field,
            f.rule,
            severity(f.rule, strict=strict),
            RULES[f.rule].message.format(field=f.field)
            + (f" ({f.note})" if f.note and f.source < 0 else ""),
            RULES[f.rule].suggestion.replace("{field}", f.field),
        )
        for f in found
    ]
    names = ["field", "rule", "severity", "message", "suggestion"]
    return pd.DataFrame(lines, columns=names, dtype="str").assign(place=np.argsort(places))


def _sheet_lines(inventory: Inventory, found: list[Found]) -> pd.DataFrame:
    sources = [inventory.sources[f.source] for f in found]
    columns = [s.columns.get(f.field, "") for s, f in zip(sources, found, strict=True)]
    return pd.DataFrame(
        {
            "row_key": np.full(len(found), -1, np.int64),
            "file": pd.Series([s.file for s in sources], dtype="str"),
            "sheet": pd.Series([s.sheet for s in sources], dtype="str"),
            "row": np.zeros(len(found), np.int64),
            "column": pd.Series(columns, dtype="str"),
            "cell": pd.Series("", index=range(len(found)), dtype="str"),
            "value": pd.Series([f.note for f in found], dtype="str"),
            "detail": pd.Series("", index=range(len(found)), dtype="str"),
        }
    )


def _cell_lines(inventory: Inventory, found: list[Found]) -> pd.DataFrame:
    keys = np.concatenate([np.empty(0, np.int64), *(f.keys for f in found)])
    # Row keys count from 0, so they are positions; taking by position needs no look-up.
    rows = inventory.rows[["file", "sheet", "row", "source"]].take(keys)
    fields = np.repeat(np.array([f.field for f in found], object), [*map(_length, found)])
    lines = rows[["file", "sheet", "row"]].astype({"file": "str", "sheet": "str"})
    return lines.assign(
        row_key=keys,
        column=inventory.column_headers(rows, fields),
        cell=inventory.cell_addresses(rows, fields),
        value=_values(inventory, found).to_numpy(),
        detail=_details(found).to_numpy(),
    )


def _values(inventory: Inventory, found: list[Found]) -> pd.Series:
    pieces = [pd.Series([], dtype="str")]
    for f in found:
        if not f.field:
            pieces.append(pd.Series("", index=f.keys, dtype="str"))
        elif f.value is None:
            pieces.append(inventory.rows[f.field].take(f.keys))
        else:
            pieces.append(f.value.loc[f.keys.tolist()].astype("str"))
    return pd.concat(pieces)


def _details(found: list[Found]) -> pd.Series:
    pieces = [pd.Series([], dtype="str")]
    for f in found:
        if f.detail is None:
            pieces.append(pd.Series("", index=f.keys, dtype="str"))
        else:
            pieces.append(f.detail.loc[f.keys.tolist()])
    return pd.concat(pieces)

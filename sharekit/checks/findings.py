"""Findings: what the checks found, one line for each cell and rule, and every row as checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pandas as pd

from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core import frame_schemas
from sharekit.core.columns import STR, hands_out_copies, with_unit
from sharekit.core.fields import FIELDS, SHARE_KEY
from sharekit.core.html import table
from sharekit.core.monitoring.progress import shows_progress
from sharekit.core.rules import LEFT_OUT, RULES, SEVERITIES, in_shell
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.row_frames import typed_rows
from sharekit.spreadsheets.row_issues import join_rows

from .hits import NO_KEYS, Keys, RuleHits
from .names import row_names

#: A rule's name -> the severity that it has in these checks.
Rating = Callable[[str], str]
#: The columns of a finding, for people and for scripts.
COLUMNS: Final = frame_schemas.REPORTED_FINDINGS.names

#: Where findings come from: the inventory alone, or with decisions that no ledger holds.
CHECKED, PREVIEW = "checked", "preview"


@hands_out_copies("rows", "frame", deep=True)
@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """What the checks found, and every row as it would be sent.

    Attributes
    ----------
    inventory : Inventory
        What was checked.
    rows : DataFrame
        A copy for each reader: what is written into it changes no plan. Indexed by ``row_key``:
        ``source, row``, the fields of a share (``fields.FIELDS``) with
        repairs done (str), ``before`` (the cloud's state, ``""`` unknown), ``disposition``
        (``planned``, ``already``, ``blocked``, ``duplicate`` or ``skipped``) and ``carried_by``
        (Int64: the row that carries a duplicate).
    frame : DataFrame
        One line for each finding: :data:`COLUMNS`, with ``row_key`` (-1: a whole sheet),
        ``field``, and the row's ``image_id`` and ``project_id`` with repairs done.
    snapshot : Snapshot or None
        What the clouds showed, if there were any to ask.
    strict : bool
        Whether warnings count as errors.
    confirmed : tuple of str
        Rules that somebody confirmed by name, so that they block no row.
    origin : str
        :data:`CHECKED` or :data:`PREVIEW` if :func:`sharekit.check` made these very findings, else
        ``""``.
    """

    inventory: Inventory
    rows: pd.DataFrame
    frame: pd.DataFrame
    snapshot: Snapshot | None = None
    strict: bool = False
    confirmed: tuple[str, ...] = ()
    origin: str = field(default="", init=False)

    def __post_init__(self) -> None:
        frame = self.frame
        if not set(SHARE_KEY) <= {*frame.columns}:
            ids = self.rows[SHARE_KEY].reindex(pd.Index(frame["row_key"])).fillna("").astype(STR)
            object.__setattr__(self, "frame", frame.join(ids.set_axis(frame.index)))

    def count(self, *severities: str) -> int:
        """Return the number of findings of some severities.

        Returns
        -------
        int
            Their number; 0 without a severity.
        """
        return int(self.frame["severity"].isin(severities).sum())

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of rows and findings: ``rows, errors, warnings, repairs``."""
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

    @property
    def by_rule(self) -> pd.DataFrame:
        """One line for each rule with findings: ``severity, rule, cells, message, suggestion``."""
        order = {name: rank for rank, name in enumerate(SEVERITIES)}
        lines = self.frame.groupby(["severity", "rule"]).size().rename("cells").reset_index()
        lines["message"] = [RULES[n].message.format(field="a value") for n in lines["rule"]]
        lines["suggestion"] = [RULES[n].suggestion for n in lines["rule"]]
        lines["rank"] = lines["severity"].map(order)
        lines = lines.sort_values(["rank", "cells"], ascending=[True, False])
        return lines.drop(columns="rank").reset_index(drop=True)

    def in_shell(self) -> Findings:
        """Return the same with suggestions as the shell and files word them.

        Returns
        -------
        Findings
            Equal to these but for ``suggestion``.
        """
        frame = self.frame
        words = {text: in_shell(text) for text in frame["suggestion"].unique()}
        return replace(
            self, frame=frame.assign(suggestion=frame["suggestion"].map(words).astype(STR))
        )

    @shows_progress("making the frame")
    def to_frame(self, *, progress: bool = True) -> pd.DataFrame:
        """Return every row as one typed frame, for joins, groups and plots.

        Parameters
        ----------
        progress : bool
            False shows no progress; otherwise it is shown where the call takes over two seconds.

        Returns
        -------
        DataFrame
            The input's own columns and index; ``file, sheet, row``; the fields of a share with
            repairs done (:data:`~sharekit.core.fields.FIELDS`); what images and projects are called
            and who told it (:data:`~sharekit.core.fields.NAMES`); ``before``, ``disposition``,
            ``carried_by`` (Int64, a ``row_key``) and ``rules``, the rules that the row breaks.
            What is missing is NA, few different values are categories.

        Examples
        --------
        >>> check(inventory).to_frame().groupby("disposition").size()  # doctest: +SKIP
        """
        return typed_rows(self.inventory, self.row_columns(self.rows))

    def row_columns(
        self, rows: pd.DataFrame, snapshot: Snapshot | None = None
    ) -> dict[str, pd.Series]:
        """Return the columns of :meth:`to_frame` that checks make, of these rows of a plan.

        ``snapshot`` tells the names where the plan was made without a cloud.

        Returns
        -------
        dict
            Name -> column, with the index of ``rows``.
        """
        named = self.frame.loc[self.frame["row_key"] >= 0, ["row_key", "rule"]].drop_duplicates()
        several = named["row_key"].duplicated(keep=False)
        rules = pd.concat([
            named[~several].set_index("row_key")["rule"],
            named[several].groupby("row_key")["rule"].agg("; ".join),
        ])  # fmt: skip
        texts = rules.reindex(rows.index).astype(STR).fillna("")
        return {
            **{name: rows[name] for name in FIELDS},
            **row_names(self.inventory, rows, self.snapshot or snapshot),
            **{name: rows[name] for name in ("before", "disposition", "carried_by")},
            "rules": texts,
        }

    def __repr__(self) -> str:
        numbers = [with_unit(n, name.removesuffix("s")) for name, n in self.counts.items()]
        return f"<Findings: {', '.join(numbers)}>"

    def _repr_html_(self) -> str:
        page = table(self.by_rule, title=repr(self)[1:-1])
        first = self.frame[self.frame["severity"] == "error"].head(10)
        columns = ["file", "sheet", "cell", "value", "message", "suggestion"]
        return page + (table(first[columns], title="The first errors") if len(first) else "")


def mark_origin(findings: Findings, origin: str) -> Findings:
    """Say of findings that a check has just made where they come from, and return them."""
    object.__setattr__(findings, "origin", origin)
    return findings


def first_errors(findings: Findings, *, without: str = "") -> pd.DataFrame:
    """Return for each row with an error the first one: ``rule, message``, by ``row_key``.

    What is wrong with a whole sheet counts for each of its rows; errors of the field ``without``
    do not count.
    """
    frame = findings.frame
    errors = frame[(frame["severity"] == "error") & ((frame["field"] != without) | (without == ""))]
    cells = errors[errors["row_key"] >= 0].drop_duplicates("row_key")
    first = cells.set_index("row_key")[["rule", "message"]]
    sheets = errors[errors["row_key"] < 0].drop_duplicates(["file", "sheet"])
    if sheets.empty:
        return first
    sources = pd.DataFrame(
        [(source.file, source.sheet) for source in findings.inventory.sources],
        columns=["file", "sheet"],
    )
    of_source = sources.merge(sheets, on=["file", "sheet"], how="left")[["rule", "message"]]
    others = findings.rows.loc[~findings.rows.index.isin(first.index), "source"]
    lines = of_source.take(others.to_numpy()).set_axis(others.index).dropna()
    return pd.concat([first, lines])


def left_out_rows(findings: Findings) -> pd.DataFrame:
    """Return why each row that asks for nothing is left out: ``rule, message``, by ``row_key``.

    A row that a reviewer has decided on is no longer left out.
    """
    issues = findings.inventory.cell_issues
    lines = issues[issues["rule"].isin(LEFT_OUT)].drop_duplicates("row_key").set_index("row_key")
    lines = lines[(findings.rows.loc[lines.index, "disposition"] == "skipped").to_numpy()]
    message = lines["rule"].map({name: RULES[name].message for name in LEFT_OUT}).astype(STR)
    reasons: pd.DataFrame = lines[["rule"]].assign(message=message)
    return reasons


def row_reasons(findings: Findings) -> pd.DataFrame:
    """Return why each row is blocked or left out: ``rule, message``, by ``row_key``."""
    errors = first_errors(findings)
    blocked = findings.rows["disposition"] == "blocked"
    errors = errors[blocked.reindex(errors.index).to_numpy(dtype=bool)]
    return pd.concat([errors, left_out_rows(findings)])


def carrier_addresses(rows: pd.DataFrame, carried_by: pd.Series) -> pd.Series:
    """Return for each duplicate the address of the row that carries it, ``""`` for other rows.

    ``rows`` has the columns ``file, sheet, row``; ``carried_by`` is that of :attr:`Findings.rows`.
    """
    carriers = carried_by.dropna().astype("int64")
    lines = rows.loc[carriers.to_numpy(), ["file", "sheet", "row"]]
    sheet = (", " + lines["sheet"]).where(lines["sheet"] != "", "")
    addresses = lines["file"] + sheet + ", row " + lines["row"].astype(STR)
    return addresses.set_axis(carriers.index).reindex(rows.index, fill_value="").astype(STR)


# -- from hits to findings ---------------------------------------------------------------------
def render(inventory: Inventory, hits: list[RuleHits], rate: Rating) -> pd.DataFrame:
    """Return one finding for each hit, in the order of the rows and, for one row, of the rules."""
    hits = [_of_sheet(inventory, h) if h.rule in LEFT_OUT and len(h.keys) else h for h in hits]
    of_cells = [h for h in hits if len(h.keys) and h.source < 0]
    of_sheets = [h for h in hits if h.source >= 0]
    texts = _texts([*of_cells, *of_sheets], rate)
    numbers = np.repeat(np.arange(len(texts)), [*map(_size, of_cells), *(1 for _ in of_sheets)])
    lines = pd.concat([_cell_lines(inventory, of_cells), _sheet_lines(inventory, of_sheets)])
    order = np.lexsort((texts["rank"].to_numpy()[numbers], lines["row_key"].to_numpy()))
    texts = texts.drop(columns="rank").take(numbers[order]).reset_index(drop=True)
    lines = pd.concat([lines.take(order).reset_index(drop=True), texts], axis="columns")
    lines["message"] += (" (" + lines["detail"] + ")").where(lines["detail"] != "", "")
    return lines[["row_key", "field", *COLUMNS]]


def _of_sheet(inventory: Inventory, hits: RuleHits) -> RuleHits:
    """Make one hit of the sheet of those in its rows; rows of one hit are of one sheet."""
    lines = inventory.rows[["row", "source"]].take(hits.keys)
    note = join_rows(lines["row"].tolist())
    return replace(hits, keys=NO_KEYS, source=int(lines["source"].iloc[0]), sheet_note=note)


def _size(hits: RuleHits) -> int:
    return len(hits.keys)


def _texts(hits: list[RuleHits], rate: Rating) -> pd.DataFrame:
    """Return what each rule says of its hits, and its rank among the others."""
    ranks = {name: rank for rank, name in enumerate(RULES)}
    order = sorted(range(len(hits)), key=lambda i: (ranks[hits[i].rule], hits[i].field))
    lines = [
        (
            h.field,
            h.rule,
            rate(h.rule),
            RULES[h.rule].message.format(field=h.field),
            RULES[h.rule].suggestion.replace("{field}", h.field),
        )
        for h in hits
    ]
    names = ["field", "rule", "severity", "message", "suggestion"]
    return pd.DataFrame(lines, columns=names, dtype=STR).assign(rank=np.argsort(order))


def _sheet_lines(inventory: Inventory, hits: list[RuleHits]) -> pd.DataFrame:
    sources = [inventory.sources[h.source] for h in hits]
    columns = [s.columns.get(h.field, "") for s, h in zip(sources, hits, strict=True)]
    labels = inventory.rows["row"].dtype
    # A lock file is no source; what is said of it is said of no workbook.
    places = [
        (h.sheet_note, "", "") if h.rule == "lock-file" else (s.file, s.sheet, h.sheet_note)
        for s, h in zip(sources, hits, strict=True)
    ]
    files, sheets, notes = zip(*places, strict=True) if places else ((), (), ())
    return pd.DataFrame(
        {
            "row_key": np.full(len(hits), -1, np.int64),
            "file": pd.Series(files, dtype=STR),
            "sheet": pd.Series(sheets, dtype=STR),
            "row": pd.Series("" if labels == STR else 0, range(len(hits)), labels),
            "column": pd.Series(columns, dtype=STR),
            "cell": pd.Series("", index=range(len(hits)), dtype=STR),
            "value": pd.Series(notes, dtype=STR),
            "detail": pd.Series([h.sheet_detail for h in hits], dtype=STR),
        }
    )


def _cell_lines(inventory: Inventory, hits: list[RuleHits]) -> pd.DataFrame:
    keys = np.concatenate([NO_KEYS, *(h.keys for h in hits)])
    # Row keys count from 0, so they are positions; taking by position needs no look-up.
    rows = inventory.rows[["file", "sheet", "row", "source"]].take(keys)
    fields = np.repeat(np.array([h.field for h in hits], object), [*map(_size, hits)])
    lines = rows[["file", "sheet", "row"]].astype({"file": STR, "sheet": STR})
    empty = pd.Series([], dtype=STR)
    return lines.assign(
        row_key=keys,
        column=inventory.column_headers(rows, fields),
        cell=inventory.cell_addresses(rows, fields),
        value=pd.concat([empty, *(_values(inventory, h) for h in hits)]).array,
        detail=pd.concat([empty, *(_details(h) for h in hits)]).array,
    )


def _values(inventory: Inventory, hits: RuleHits) -> pd.Series:
    if not hits.field:
        return pd.Series("", index=hits.keys, dtype=STR)
    if hits.value is None:
        cells: pd.Series = inventory.rows[hits.field]
        return cells.take(hits.keys)
    return _at(hits.value, hits.keys)


def _details(hits: RuleHits) -> pd.Series:
    if hits.detail is None:
        return pd.Series("", index=hits.keys, dtype=STR)
    return _at(hits.detail, hits.keys)


def _at(values: pd.Series, keys: Keys) -> pd.Series:
    chosen: pd.Series = values.loc[keys.tolist()]
    return chosen.astype(STR)

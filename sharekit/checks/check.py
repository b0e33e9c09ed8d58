"""Check every row against every rule at once: the inventory in, findings out.

Nothing here stops at the first problem, guesses an ID, or asks a person; bad data is a finding.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.snapshot import Snapshot, take_snapshot
from sharekit.core.actions import ACTIONS, DECISIONS
from sharekit.core.columns import (
    STR,
    EncodedColumn,
    NumberedTexts,
    first_case,
    is_owner_action,
    numbered_constant,
)
from sharekit.core.errors import UsageError
from sharekit.core.fields import FIELDS
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.logs import clean_frames
from sharekit.core.monitoring.progress import Callback, shows_progress
from sharekit.core.rules import CONFIRMABLE, LEFT_OUT, RULES, severity
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.vocabulary import read_decision

from .cell_rules import normalize_rows
from .cloud_rules import check_members, check_operators
from .counted_ids import CountedIds, check_counted_up, first_cells, shown_ids
from .earlier_rules import check_earlier
from .findings import CHECKED, PREVIEW, Findings, Rating, mark_origin, render
from .hits import NO_KEYS, Keys, RuleHits
from .owner_rules import check_limits, check_owners, count_offers
from .row_rules import SharePairs, check_vault_need, find_duplicates, pair_rows
from .vault_rules import check_capacity, extend_to_duplicates

_log = logging.getLogger("sharekit.checks")


@clean_frames
@checks_arguments
@shows_progress("checking every row")
def check(
    inventory: Inventory,
    clouds: Clouds | None = None,
    *,
    strict: bool = False,
    snapshot: Snapshot | None = None,
    decisions: pd.DataFrame | None = None,
    confirm: Collection[str] = (),
    progress: bool | Callback = True,
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
    snapshot : Snapshot, optional
        Compare with this state instead of asking the clouds again.
    decisions : DataFrame, optional
        Look ahead at what decisions would lead to, indexed by ``row_key``: ``decision`` (a word as
        in an inventory, or skip; ``""`` leaves the row as it is), and ``vault_id``. Such findings
        are not planned, because nobody has decided: :func:`sharekit.review` takes the same frame,
        with a ``reason``, and writes it into the ledger (``take``).
    confirm : collection of str
        Rules that a person who knows better confirms by name, so that they block no row: those in
        :data:`sharekit.core.rules.CONFIRMABLE`. The ledger keeps them, and reports show them.
    progress : bool or callable
        False shows no progress; otherwise it is shown where the call takes over two seconds. A
        callable is called instead, as ``progress(what, done, total)``.

    Returns
    -------
    Findings

    Raises
    ------
    CloudError
        If a cloud cannot be read.
    UsageError
        There is no such decision, no such row, or no such rule to confirm.

    Examples
    --------
    >>> import sharekit
    >>> findings = sharekit.check(sharekit.read_inventory("shares.xlsx"))  # doctest: +SKIP
    """
    if decisions is not None:
        decisions = _read_decisions(decisions, len(inventory))
    return _check(
        inventory,
        clouds,
        strict=strict,
        snapshot=snapshot,
        decisions=decisions,
        confirm=confirm,
    )


def check_again(
    inventory: Inventory, snapshot: Snapshot | None, decisions: pd.DataFrame,
    earlier: pd.DataFrame | None = None, *, strict: bool, confirm: Collection[str],
) -> Findings:  # fmt: skip
    """Check with decisions that a ledger holds, and against what earlier runs decided.

    Parameters
    ----------
    inventory, snapshot, strict, confirm
        As for :func:`check`; the clouds are not asked again.
    decisions : DataFrame
        As for :func:`check`, in our words.
    earlier : DataFrame, optional
        :data:`sharekit.core.frame_schemas.EARLIER`.
    """
    return _check(
        inventory,
        None,
        strict=strict,
        snapshot=snapshot,
        decisions=decisions,
        confirm=confirm,
        earlier=earlier,
    )


# -- rows that are checked apart -------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Beyond:
    """What rows that are checked apart say together: IDs that were counted up, and offers.

    ``offers`` is the number of projects that each image would be shared with, of those that rows
    of several inventories ask for.
    """

    counted: CountedIds
    offers: pd.Series


class Told(NamedTuple):
    """What an inventory tells those that are checked apart from it, and its snapshot.

    ``cells`` is where it first has one of some IDs (:func:`.counted_ids.first_cells`), ``shown``
    are those of them that its clouds show, ``offers`` counts the new projects of each image.
    """

    cells: pd.DataFrame
    shown: set[str]
    offers: pd.Series
    snapshot: Snapshot | None


def tell(inventory: Inventory, clouds: Clouds | None, texts: Collection[str]) -> Told:
    """Look at rows without judging them; ``texts`` are IDs (digits alone) to look out for."""
    looked = _look(inventory, clouds, None, None)
    cells = first_cells(looked.encoded, partial(_addresses, inventory), texts)
    shown = shown_ids(looked.snapshot) & {*texts}
    return Told(cells, shown, count_offers(looked.new), looked.snapshot)


def check_apart(
    inventory: Inventory, snapshot: Snapshot | None, beyond: Beyond, *, strict: bool,
    confirm: Collection[str],
) -> Findings:  # fmt: skip
    """As :func:`check`, of rows that others are checked apart from."""
    return _check(
        inventory, None, strict=strict, snapshot=snapshot, decisions=None, confirm=confirm,
        beyond=beyond,
    )  # fmt: skip


# -- all rules -------------------------------------------------------------------------------------
class _Looked(NamedTuple):
    """Rows as the rules of single rows have left them; ``new`` as of :func:`check_owners`."""

    rows: pd.DataFrame
    hits: list[RuleHits]
    encoded: dict[str, EncodedColumn]
    pairs: SharePairs
    skipped: Keys
    new: pd.DataFrame
    snapshot: Snapshot | None


def _look(
    inventory: Inventory, clouds: Clouds | None, snapshot: Snapshot | None,
    decisions: pd.DataFrame | None,
) -> _Looked:  # fmt: skip
    rows, hits = normalize_rows(inventory)
    skipped, wrong_roles = _apply_decisions(rows, decisions)
    if decisions is not None:
        hits = [*(_drop_overridden(h, decisions) for h in hits), *wrong_roles]
    hits, left_out = _leave_out(hits)
    skipped = np.union1d(skipped, left_out)
    encoded = {name: EncodedColumn.encode(rows[name]) for name in FIELDS}
    for name, column in encoded.items():  # what was written into is numbered again
        rows[name] = column.to_series(rows.index)
    hits += check_vault_need(rows, encoded)
    rows["before"] = NumberedTexts.of(numbered_constant("", len(rows)))
    pairs = pair_rows(encoded)
    if snapshot is None and clouds is not None:
        snapshot = take_snapshot(clouds, rows[pairs.legal])
    if snapshot is not None:
        hits += check_members(rows, pairs, snapshot)
    of_owners, new = check_owners(rows, pairs, snapshot, skipped)
    return _Looked(rows, hits + of_owners, encoded, pairs, skipped, new, snapshot)


def _check(
    inventory: Inventory,
    clouds: Clouds | None,
    *,
    strict: bool,
    snapshot: Snapshot | None,
    decisions: pd.DataFrame | None,
    confirm: Collection[str],
    earlier: pd.DataFrame | None = None,
    beyond: Beyond | None = None,
) -> Findings:
    confirmed = _confirmed(confirm)
    rate = partial(severity, strict=strict, confirmed=confirmed)
    rows, hits, encoded, pairs, skipped, new, snapshot = _look(
        inventory, clouds, snapshot, decisions
    )
    counted, offers = (None, None) if beyond is None else (beyond.counted, beyond.offers)
    hits.append(check_limits(new, offers))
    if snapshot is not None:
        hits.append(check_operators(rows, pairs, snapshot))
    addresses = partial(_addresses, inventory)
    hits += check_counted_up(rows, encoded, snapshot, addresses, counted)
    if earlier is not None:
        unsent = [skipped, *(h.keys for h in hits if h.rule == "already")]
        hits.append(check_earlier(rows, earlier, np.concatenate(unsent)))
    hits = [h.excluding(skipped) if RULES[h.rule].phase != "cell" else h for h in hits]
    hits += _find_dispositions(inventory, rows, pairs, snapshot, hits, skipped, rate)
    # A row that is forbidden is not also in the wanted state already: the error counts alone.
    blocked = np.flatnonzero(rows["disposition"] == "blocked")
    hits = [h.excluding(blocked) if h.rule == "already" else h for h in hits]
    frame = render(inventory, hits, rate)
    findings = Findings(inventory, rows, frame, snapshot, strict, confirmed)
    _log.info("checked: %s", findings)
    return mark_origin(findings, CHECKED if decisions is None else PREVIEW)


def _confirmed(names: Collection[str]) -> tuple[str, ...]:
    given = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    for name in given:
        if name not in CONFIRMABLE:
            known = ", ".join(CONFIRMABLE)
            raise UsageError(f"The rule {name!r} cannot be confirmed; these can: {known}.")
    return given


def _find_dispositions(
    inventory: Inventory,
    rows: pd.DataFrame,
    pairs: SharePairs,
    snapshot: Snapshot | None,
    hits: list[RuleHits],
    skipped: Keys,
    rate: Rating,
) -> list[RuleHits]:
    """Set ``carried_by`` and ``disposition``; return the hits of rules on rows seen together."""
    blocked = _blocked(rows, hits, rate)
    more, carried_by = find_duplicates(
        rows, pairs, blocked, skipped, partial(_addresses, inventory)
    )
    more = [part for h in more for part in _split_same_file(inventory, h, carried_by)]
    blocked |= _blocked(rows, more, rate)
    already = np.zeros(len(rows), dtype=bool)
    for h in hits:
        if h.rule == "already":
            already[h.keys] = True
    if snapshot is not None:
        to_send = ~blocked & carried_by.isna() & ~already & (rows["vault_id"] != "")
        to_send[skipped] = False
        no_room = extend_to_duplicates(check_capacity(rows[to_send], snapshot), carried_by)
        more += no_room
        blocked |= _blocked(rows, no_room, rate)
    rows["carried_by"] = carried_by.where(~blocked).astype("Int64")
    cases = {
        "skipped": rows.index.isin(skipped),
        "blocked": blocked,
        "duplicate": rows["carried_by"].notna(),
        "already": already,
    }
    rows["disposition"] = first_case(cases, "planned")
    return more


def _read_decisions(decisions: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the decisions in our words, by row key; others are refused, never left out."""
    if not isinstance(decisions, pd.DataFrame):
        raise UsageError(
            f"Decisions are a DataFrame indexed by row_key, not a {type(decisions).__name__}."
        )
    if not {"decision", "vault_id"} & set(decisions.columns):
        raise UsageError("Decisions need a column decision or vault_id.")
    keys = decisions.index
    whole = pd.api.types.infer_dtype(keys, skipna=False) == "integer" or keys.empty
    if not (whole and keys.is_unique and ((keys >= 0) & (keys < count)).all()):
        raise UsageError(
            "Decisions are indexed by row_key: each row once, and only rows there are."
        )
    missing = pd.Series("", index=keys, dtype=STR)
    words = decisions.get("decision", missing)
    read = {word: read_decision(word) for word in words.dropna().unique()}
    vaults = decisions.get("vault_id", missing).fillna("").astype(STR)
    return pd.DataFrame(
        {"decision": words.map(read).fillna("").astype(STR), "vault_id": vaults}, index=keys
    )


def _apply_decisions(
    rows: pd.DataFrame, decisions: pd.DataFrame | None
) -> tuple[Keys, list[RuleHits]]:
    """Replace the inventory's decisions by the reviewer's; return the rows that are skipped."""
    if decisions is None:
        return NO_KEYS, []
    status = decisions["decision"].map(DECISIONS).dropna().astype(STR)
    stated = rows.loc[status.index, "status"]
    # Where the cell holds no legal status, either role may be meant.
    wrong = (is_owner_action(status) != is_owner_action(stated)) & stated.isin(ACTIONS)
    detail = "decided: " + decisions["decision"].loc[status.index].astype(STR)
    hits = RuleHits.where(wrong, "wrong-role", "status", detail)
    status = status[~wrong]
    rows.loc[status.index, "status"] = status
    if "vault_id" in decisions:
        vaults = decisions.loc[decisions["vault_id"] != "", "vault_id"]
        rows.loc[vaults.index, "vault_id"] = vaults
    skipped = decisions.index[decisions["decision"] == "skip"].to_numpy(dtype="int64")
    return skipped, [hits]


def _leave_out(hits: list[RuleHits]) -> tuple[list[RuleHits], Keys]:
    """Return the rows that ask for nothing, and the hits without further ones in these rows."""
    keys = np.unique(np.concatenate([NO_KEYS, *(h.keys for h in hits if h.rule in LEFT_OUT)]))
    return [h if h.rule in LEFT_OUT else h.excluding(keys) for h in hits], keys


def _drop_overridden(hits: RuleHits, decisions: pd.DataFrame) -> RuleHits:
    """Drop what is wrong with a cell whose value the reviewer has replaced.

    A row that asks for nothing asks for something once a reviewer has decided on it.
    """
    if hits.rule in LEFT_OUT:
        return hits.excluding(
            decisions.index[decisions["decision"].isin(DECISIONS)].to_numpy("int64")
        )
    column = {"status": "decision", "vault_id": "vault_id"}.get(hits.field)
    if column not in decisions:
        return hits
    return hits.excluding(decisions.index[decisions[column] != ""].to_numpy("int64"))


def _split_same_file(inventory: Inventory, hits: RuleHits, carried_by: pd.Series) -> list[RuleHits]:
    """Separate duplicates that only come from reading the same file twice."""
    if hits.rule != "duplicate" or not len(hits.keys):
        return [hits]
    contents = pd.DataFrame([(s.sha256, s.sheet) for s in inventory.sources])
    numbers = contents.groupby([0, 1]).ngroup().to_numpy()
    source = inventory.rows["source"].to_numpy()
    carrier = source[carried_by.to_numpy()[hits.keys].astype("int64")]
    duplicate = source[hits.keys]
    same = (duplicate != carrier) & (numbers[duplicate] == numbers[carrier])
    return [hits.select(~same), hits.select(same, rule="same-file-twice")]


def _addresses(inventory: Inventory, keys: Keys, field: str) -> pd.Series[str]:
    """Name rows by the cell of a field, or else of the image ID, and by file and sheet if many."""
    rows = inventory.rows[["file", "sheet", "row", "source"]].take(keys)
    cells = inventory.cell_addresses(rows, field)
    cells = cells.where(cells != "", inventory.cell_addresses(rows, "image_id"))
    if len(inventory.sources) > 1:
        cells = rows["file"].astype(STR) + " " + rows["sheet"].astype(STR) + " " + cells
    return cells.str.replace("  ", " ", regex=False)


def _blocked(rows: pd.DataFrame, hits: Iterable[RuleHits], rate: Rating) -> pd.Series:
    """Return True for each row that has an error, or whose sheet has one."""
    errors = [h for h in hits if rate(h.rule) == "error"]
    sheets = [h.source for h in errors if h.source >= 0]
    blocked = rows["source"].isin(sheets).to_numpy(copy=True)
    for h in errors:
        blocked[h.keys] = True  # row keys count from 0, so they are positions
    return pd.Series(blocked, index=rows.index)

"""The columns of every frame, the kind of each and the values it may hold, once.

What is made, stored and read back conforms to it: a ledger may come from anybody, so each frame is
checked where it leaves the ledger, and nothing further on meets what no frame of ours holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal

import pandas as pd

from .actions import ABSENT, DECIDABLE, MEMBER_STATES, ROLES
from .columns import STR
from .fields import ACTION_KEY, FIELDS, INPUT_PREFIX, NAMES, ROW_ACTION, SHARE_KEY
from .outcomes import OUTCOMES as OUTCOME_NAMES
from .rules import RULES, SEVERITIES

#: Kind of a column -> its dtype in a frame. ``str?``, ``Int`` and ``Key`` may lack values.
_DTYPES: Final[dict[str, str | pd.StringDtype[Any]]] = {
    "str": STR, "str?": STR, "category": "category", "int": "int64", "Int": "Int64",
    "key": "int64", "Key": "Int64", "label": "int64", "float": "float64", "bool": "bool",
    "time": "datetime64[us, UTC]",
}  # fmt: skip


@dataclass(frozen=True)
class FrameSchema:
    """The columns of a frame, in order, and the kind of each.

    Kinds are ``str`` (text; ``str?`` may be missing), ``category`` (repeated text), ``int``,
    ``Int`` (may be missing), ``key`` (a row of the inventory, or -1) and ``Key`` (the same; may be
    missing), ``label`` (rows' numbers, or labels that are texts), ``float``, ``bool`` and ``time``
    (UTC). ``values`` are the texts that a column may hold, if they are a closed list; ``unique``
    are the columns that name a line, so that no two lines have them in common. ``indexed`` is True
    if the index is ``row_key``; ``rows`` are then ``some`` rows of the inventory, each once,
    ``every`` row in order, or lines of its ``own``. Columns that begin
    with ``extra_prefix`` are kept as well, as texts (missing ones only with ``nullable_extra``); no
    other columns are. ``later`` are columns that were added after the first release: a stored frame
    may lack them, and is read as if they were empty.
    """

    columns: Mapping[str, str]
    indexed: bool = False
    extra_prefix: str = ""
    nullable_extra: bool = False
    later: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    unique: Collection[str] = ()
    rows: Literal["some", "every", "own"] = "some"

    @property
    def kinds(self) -> dict[str, str]:
        """Column -> kind, in order."""
        return {**self.columns, **self.later}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.kinds)

    @property
    def dtypes(self) -> dict[str, str | pd.StringDtype[Any]]:
        """Column -> dtype."""
        return {name: _DTYPES[kind] for name, kind in self.kinds.items()}

    def make_frame(self, records: Iterable[Any] = ()) -> pd.DataFrame:
        """Return a frame of records: tuples in the order of the columns, or mappings.

        >>> VAULTS.make_frame().dtypes["free"]
        dtype('float64')
        """
        lines = list(records)
        return self._frame(lines) if lines else self._empty.copy()

    @cached_property
    def _empty(self) -> pd.DataFrame:
        return self._frame([])

    def _frame(self, lines: list[Any]) -> pd.DataFrame:
        return pd.DataFrame(lines, columns=list(self.names)).astype(self.dtypes)


def _columns(names: str, **kinds: str) -> dict[str, str]:
    """Kinds of the named columns, in order; ``str`` unless another one is given."""
    return {name: kinds.get(name, "str") for name in names.split()}


def _texts(names: str, **options: Any) -> FrameSchema:
    return FrameSchema(_columns(names), **options)


_FIELDS: Final = " ".join(FIELDS)
#: What a check or a person makes of a row; only ``planned`` rows are sent.
DISPOSITIONS: Final = ("planned", "already", "blocked", "duplicate", "skipped")
#: States of a share; ``""`` if it was not read.
_STATES: Final = ("", *MEMBER_STATES, ABSENT)
_TRUTH: Final = ("true", "false", "")

# -- spreadsheets ----------------------------------------------------------------------------------
INVENTORY_ROWS: Final = FrameSchema(
    _columns(f"file sheet row source {_FIELDS}", file="category", sheet="category", row="label",
             source="int"),
    indexed=True, extra_prefix=INPUT_PREFIX, rows="every",
)  # fmt: skip
CELL_ISSUES: Final = FrameSchema(
    _columns("rule field value detail row_key source", row_key="key", source="int")
)

# -- checks and plans ------------------------------------------------------------------------------
#: A finding as reports show it; in :data:`FINDINGS` its row and field are named as well.
REPORTED_FINDINGS: Final = FrameSchema(
    _columns("rule severity file sheet row column cell value message suggestion", row="label")
)
FINDINGS: Final = FrameSchema(
    {"row_key": "key", "field": "str", **REPORTED_FINDINGS.columns},
    values={"rule": RULES, "severity": SEVERITIES},
)
#: Columns of findings that say in words what their rule says; versions may word it otherwise.
WORDING: Final = ("message", "suggestion")
CHECKED_ROWS: Final = FrameSchema(
    _columns(f"source row {_FIELDS} before disposition carried_by", source="int", row="label",
             carried_by="Key"),
    indexed=True, rows="every", values={"before": _STATES, "disposition": DISPOSITIONS},
)  # fmt: skip
PLAN: Final = replace(CHECKED_ROWS, columns={**CHECKED_ROWS.columns, "chunk": "Int"})
#: A plan as a ledger holds it: a field is missing where it is as in the inventory, whose other
#: columns are not stored again.
STORED_PLAN: Final = replace(
    PLAN,
    columns={
        name: "str?" if name in FIELDS else kind
        for name, kind in PLAN.columns.items()
        if name not in INVENTORY_ROWS.columns or name in FIELDS
    },
)
#: What a decision consists of; None leaves a part as it was.
DECISIONS: Final = FrameSchema(
    dict.fromkeys(("decision", "reason", "vault_id"), "str?"), indexed=True,
    values={"decision": DECIDABLE},
)  # fmt: skip
#: The same, decided by policies, with the name of the policy.
POLICY_DECISIONS: Final = replace(DECISIONS, columns={**DECISIONS.columns, "policy": "str"})
#: What an earlier run decided on shares: ``decision`` and ``vault_id`` if a person did in a review,
#: and ``action``, what became of it.
EARLIER: Final = _texts(
    "project_id image_id side asked decision reason vault_id by run action",
    values={"side": ROLES, "decision": DECIDABLE},
)
#: What a review sheet decides.
REVIEWED: Final = FrameSchema(
    _columns("decision reason"), indexed=True, values={"decision": DECIDABLE}
)

# -- clouds ----------------------------------------------------------------------------------------
MEMBERS: Final = FrameSchema(
    _columns("project_id image_id state owner name whole_image size unread", size="int"),
    values={"state": _STATES, "whole_image": _TRUTH}, unique=SHARE_KEY,
)  # fmt: skip
VAULTS: Final = FrameSchema(
    _columns("project_id vault_id name object_type protect_type status free resources",
             free="float", resources="int"),
    unique=("project_id", "vault_id"),
)  # fmt: skip
#: What tells a project's name: Keystone, ``project_name`` in ``clouds.yaml``, or, where both are
#: silent, the name that the user gave to the entry.
NAMED_BY: Final = ("sign-in", "clouds.yaml", "entry in clouds.yaml")
#: ``name_source`` says what told a project's ``name``.
_NAMED: Final = _columns("name name_source")
PROJECTS: Final = FrameSchema(
    _columns("project_id cloud region api ims image account vaults"),
    later=_columns("unread") | _NAMED | _columns("acts_as"),
    values={"api": ("", "auto", "batch", "native"), "name_source": ("", *NAMED_BY)},
    unique=("project_id",),
)  # fmt: skip
OWNER_SHARES: Final = FrameSchema(
    _columns("project_id image_id state owner name whole_image size visibility key members "
             "unread", size="int", members="int"),
    values={"state": _STATES, "whole_image": _TRUTH}, unique=SHARE_KEY,
)  # fmt: skip
#: The frames of a snapshot, by name.
SNAPSHOT: Final[Mapping[str, FrameSchema]] = {
    "members": MEMBERS, "vaults": VAULTS, "projects": PROJECTS, "owned": OWNER_SHARES,
}  # fmt: skip
#: The frames of a survey, by name, in the order in which they are written.
SURVEY: Final[Mapping[str, FrameSchema]] = {
    "shares": _texts(
        "project_id image_id state owner name whole_image image_created_at shared_at decided_at "
        "looked visibility unread",
        values={"state": _STATES, "whole_image": _TRUTH, "looked": ("listed", "single")},
        unique=SHARE_KEY,
    ),
    "owned": _texts("owner image_id name image_created_at", unique=("owner", "image_id")),
    "outgoing": _texts(
        "owner image_id name image_created_at project_id state shared_at decided_at unread",
        values={"state": _STATES}, unique=("owner", "image_id", "project_id"),
    ),
    "projects": _texts(
        "project_id cloud region api account code reason owner_code owner_reason",
        later=_NAMED | _columns("acts_as"), unique=("project_id",),
    ),
}  # fmt: skip

# -- runs ------------------------------------------------------------------------------------------
PREFLIGHT: Final = FrameSchema(
    _columns("project_id image_id side before outcome code reason moved"), indexed=True,
    values={"side": ROLES, "before": _STATES, "outcome": ("", "already", "blocked"),
            "moved": _STATES},
    unique=ACTION_KEY,
)  # fmt: skip
#: The share of a row as one side shows it; ``unread`` says why there is no ``state``, which then
#: was not observed.
READ_BACK: Final = FrameSchema(
    _columns("row_key side state unread", row_key="key"),
    values={"side": ROLES, "state": _STATES}, unique=ROW_ACTION,
)  # fmt: skip
#: One line per input row, indexed by ``row_key``.
OUTCOMES: Final = FrameSchema(
    _columns("outcome code reason before claimed observed"),
    indexed=True,
    values={"outcome": OUTCOME_NAMES, "before": _STATES, "observed": _STATES,
            "claimed": ("", "success", "failed")},
)  # fmt: skip

# -- audits ----------------------------------------------------------------------------------------
BASELINE: Final = _texts(
    "project_id image_id state result seen_by owner name",
    values={"state": _STATES, "seen_by": ("project", "owner")}, unique=SHARE_KEY,
)  # fmt: skip
CHANGES: Final = _texts("change project_id image_id was now result_was result_now name owner")
POLICY_CHECK: Final = FrameSchema(
    _columns("verdict policy should observed missing image_id project_id name owner shared_at "
             "decided_at age_days file sheet row", row="label", age_days="Int")
)  # fmt: skip
AUDIT_ROWS: Final = FrameSchema(
    _columns("file sheet row image_id project_id name owner age_days status observed result code "
             "reason seen_by image_created_at shared_at decided_at carried_by",
             row="label", age_days="Int"),
    indexed=True, rows="own", extra_prefix=INPUT_PREFIX, nullable_extra=True,
)  # fmt: skip

# -- reports ---------------------------------------------------------------------------------------
RECORD_ROWS: Final = FrameSchema(
    _columns("file sheet row image_id project_id status vault_id outcome code reason before "
             "claimed observed chunk job_id request_id carried_by decided_by decision_reason "
             + " ".join(NAMES),
             row="label"),
    indexed=True, extra_prefix=INPUT_PREFIX,
)  # fmt: skip
REQUESTS: Final = FrameSchema(
    _columns("chunk region project_id status vault_id whole_image images api attempts state http "
             "code reason job_id request_id first_sent ended project_name project_name_source",
             whole_image="bool", images="int", attempts="int", http="int", first_sent="time",
             ended="time")
)  # fmt: skip
SOURCES: Final = FrameSchema(
    _columns("file sheet sha256 size format header_row rows blank_rows hidden columns",
             size="int", header_row="int", rows="int", blank_rows="int", hidden="bool")
)  # fmt: skip
APPROVALS: Final = FrameSchema(
    _columns("at reviewer fingerprint images note valid signed", images="int", valid="bool",
             signed="bool")
)  # fmt: skip
REVIEWS: Final = FrameSchema(
    _columns("row_key file sheet row image_id project_id planned decided reason reviewer policy "
             "at", row_key="int", row="int")
)  # fmt: skip
#: One line for each policy each time that policies were applied: the number of rows it matched.
POLICIES: Final = FrameSchema(_columns("at reviewer policy decision rows sha256", rows="int"))
#: What ledgers say about an image, a project or a person; ``about`` is ``decision``, ``approval``,
#: ``request``, ``observation`` or ``outcome``.
FOUND: Final = FrameSchema(
    _columns("ledger seq at about event image_id project_id project_name person what", seq="int")
)
TIMELINE: Final = FrameSchema(_columns("at event chunk images what", at="time", images="int"))

#: Every name of a column of ours beside which the input's own columns stand, or may be named: in
#: frames of all rows, reports, policies and splits, whose ``project``, ``image`` and ``vault`` are
#: short for IDs.
OUR_COLUMNS: Final = frozenset((
    "row_key", *RECORD_ROWS.names, *AUDIT_ROWS.names, *FIELDS, *NAMES,
    *"disposition rules findings asked decision by wanted state policy sent_at observed_at".split(),
    *"visibility size cloud project image vault".split(),
))  # fmt: skip


def public_names(columns: Iterable[object]) -> dict[str, str]:
    """Return what the input's own columns are called beside ours, by their names in an inventory.

    Everywhere the same: a column has its header, and ``input.`` before it if the header alone would
    mean a column of ours, or such a name.

    >>> public_names(["row", "input.team", "input.asked", "input.input.asked"])
    {'input.team': 'team', 'input.asked': 'input.asked', 'input.input.asked': 'input.input.asked'}
    """
    own = [name for name in map(str, columns) if name.startswith(INPUT_PREFIX)]
    headers = [name.removeprefix(INPUT_PREFIX) for name in own]
    plain = [h and h not in OUR_COLUMNS and not h.startswith(INPUT_PREFIX) for h in headers]
    return {n: h if p else n for n, h, p in zip(own, headers, plain, strict=True)}

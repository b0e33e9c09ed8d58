"""What ledgers say about one image, project or person: who decided, approved, sent and saw what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Final

import pandas as pd

from sharekit.audits.storage import read_survey
from sharekit.checks.names import project_names
from sharekit.core import frame_schemas
from sharekit.core.columns import STR, look_up
from sharekit.core.errors import UsageError
from sharekit.core.fields import PROJECT_ID, SHARE_KEY, UUID
from sharekit.core.frame_schemas import FOUND
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.progress import report, shows_progress
from sharekit.core.provenance import looks
from sharekit.ledger.events import describe
from sharekit.ledger.ledger import Event, Ledger
from sharekit.plans.plan import HasLedger, ledger_path
from sharekit.plans.steps import decision_of
from sharekit.plans.storage import planned_rows, read_names_snapshot, read_stored_inventory
from sharekit.runs.requests.log import REQUEST_EVENTS

#: What the lines are about, and the lines.
_Lines = Iterator[tuple[str, pd.DataFrame]]
#: Which columns of a frame name the thing; a name may be a person's or a project's.
_COLUMNS: Final = {"image": ("image_id",), "project": ("project_id", "owner")}
#: Columns of the plan that are looked at.
_PLANNED: Final = [*SHARE_KEY, "owner", "status", "disposition", "chunk"]


@checks_arguments
@shows_progress("searching")
def find(
    thing: str, *ledgers: HasLedger | str | PathLike[str], progress: bool = True
) -> pd.DataFrame:
    """Return each decision, approval, request and observation about a thing, from any ledgers.

    Parameters
    ----------
    thing : str
        The ID of an image or a project, or the name of a project or a person.
    *ledgers : path, Plan or Run
        Ledgers of runs and audits.
    progress : bool
        False shows no progress; otherwise it is shown where the call takes over two seconds.

    Returns
    -------
    DataFrame
        One line for each share and event, by time: ``ledger`` (its path), ``seq`` and ``at`` (the
        event's number and UTC time), ``about`` (``decision``, ``approval``, ``request``,
        ``observation`` or ``outcome``), ``event`` (its kind), ``image_id``, ``project_id`` (``""``
        where the event is about the whole plan), ``project_name`` (as this ledger knows it),
        ``person`` and ``what``. A decision of a person is found by the person's name, what is about
        a project also where it is the image's owner. Empty if no ledger knows the thing.

    Raises
    ------
    UsageError
        No ledger is named.
    LedgerError
        A ledger does not exist or is damaged.

    Examples
    --------
    >>> find("Ada", "run.ledger", "again.ledger")[["at", "what"]]  # doctest: +SKIP
    """
    if not ledgers:
        raise UsageError("Name the ledgers to search, such as *.ledger.")
    wanted, parts = _Thing.of(thing), []
    paths = dict.fromkeys(map(ledger_path, ledgers))
    for done, path in enumerate(paths):
        report("searching", done, len(paths))
        with Ledger.open(path) as ledger:
            names = _project_names(ledger)
            for part in _Search(ledger, wanted.among(names)).lines():
                called = look_up(part["project_id"], names)
                parts.append(part.assign(ledger=str(path), project_name=called))
    found = pd.concat([FOUND.make_frame(), *parts], ignore_index=True)[list(FOUND.names)]
    found = found.astype(FOUND.dtypes)
    return found.sort_values(["at", "ledger", "seq"], kind="stable", ignore_index=True)


def _project_names(ledger: Ledger) -> pd.Series:
    """Return what a ledger knows of its projects' names, by ID."""
    audited, planned = ledger.last_event("audit_recorded"), ledger.last_event("planned")
    if planned is not None:
        inventory, shown = read_stored_inventory(ledger), read_names_snapshot(ledger)
        stored = ledger.get_frame(planned.body["rows_blob"], frame_schemas.STORED_PLAN)
        own, rows = inventory.rows, planned_rows(stored, inventory)
    elif audited is not None:
        rows = ledger.get_frame(audited.body["rows_blob"], frame_schemas.AUDIT_ROWS)
        return project_names(rows, rows["project_id"], read_survey(ledger))["name"]
    else:
        return pd.Series([], pd.Index([], dtype=STR), dtype=STR)
    return project_names(own, rows["project_id"], shown)["name"]


@dataclass(frozen=True)
class _Thing:
    """An image or a project by its ID, or a project or a person by name."""

    kind: str
    text: str
    ids: frozenset[str]

    @classmethod
    def of(cls, text: str) -> _Thing:
        """Tell what a text names.

        >>> _Thing.of("Ada").kind, _Thing.of("0" * 32).kind
        ('name', 'project')
        """
        identifier = text.strip().lower()
        for kind, grammar in {"image": UUID, "project": PROJECT_ID}.items():
            if re.fullmatch(grammar, identifier):
                return cls(kind, identifier, frozenset([identifier]))
        return cls("name", text.strip(), frozenset())

    def among(self, names: pd.Series) -> _Thing:
        """Return the thing with the projects that have its name, among ``names`` by ID."""
        if self.kind != "name":
            return self
        named = names.index[names.str.casefold() == self.text.casefold()]
        return replace(self, ids=frozenset(named))

    def select(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the lines of a frame that name the thing."""
        mask = pd.Series(data=False, index=frame.index)
        for name in _COLUMNS.get(self.kind, _COLUMNS["project"]):
            if name in frame and self.ids:
                mask |= frame[name].str.lower().isin(self.ids)
        return frame[mask]

    def is_named(self, *names: object) -> bool:
        """Return True if a person of one of these names is looked for."""
        return self.kind == "name" and any(looks(self.text) & looks(str(n)) for n in names if n)


@dataclass
class _Search:
    """Goes through the events of one ledger, and remembers what later ones refer to."""

    ledger: Ledger
    thing: _Thing
    rows: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_PLANNED, dtype=STR))
    #: The shares of the plan that are looked for.
    shares: set[tuple[str, str]] = field(default_factory=set)
    #: Request -> its shares.
    requests: dict[str, pd.DataFrame] = field(default_factory=dict)
    #: Step of deciding -> its lines.
    steps: dict[int, pd.DataFrame] = field(default_factory=dict)

    def lines(self) -> Iterator[pd.DataFrame]:
        """Yield the lines of each event that is about the thing."""
        for event in self.ledger.iter_events():
            read = _READERS.get(event.kind)
            for about, lines in read(self, event) if read else ():
                if len(lines):
                    names = [*SHARE_KEY, "person", "what"]
                    empty = {name: "" for name in names if name not in lines}
                    told = lines.assign(**empty)[names].astype(STR).fillna("")
                    yield told.assign(seq=event.seq, at=event.at, event=event.kind, about=about)

    def planned(self, event: Event) -> _Lines:
        """Read the plan; its rows are what later events speak of."""
        stored = self.ledger.get_frame(event.body["rows_blob"], frame_schemas.STORED_PLAN)
        self.rows = planned_rows(stored, read_stored_inventory(self.ledger))[_PLANNED]
        planner = str(event.body["settings"].get("planner", ""))
        mine = self.thing.select(self.rows)
        self.shares = set(zip(mine["image_id"], mine["project_id"], strict=True))
        what = mine["status"].where(mine["status"] != "", "nothing") + " asked, "
        yield "decision", mine.assign(what=what + mine["disposition"], person=planner)
        if self.thing.is_named(planner):
            yield "decision", _line(planner, describe(event.kind, event.body))

    def decided(self, event: Event) -> _Lines:
        """Read the decisions of a person on some rows."""
        step = decision_of(self.ledger, event).fillna("")
        person = str(event.body["reviewer"])
        shares = self.rows.reindex(step.index)[[*SHARE_KEY, "owner"]].fillna("")
        vault = (" in vault " + step["vault_id"]).where(step["vault_id"] != "", "")
        reason = (": " + step["reason"]).where(step["reason"] != "", "")
        decision = step["decision"].where(step["decision"] != "", "as planned")
        shares = shares.assign(what=decision + vault + reason, person=person)
        mine = shares if self.thing.is_named(person) else self.thing.select(shares)
        self.steps[event.seq] = mine
        yield "decision", mine

    def undone(self, event: Event) -> _Lines:
        """Read that a step of deciding was taken back."""
        person, seq = str(event.body["reviewer"]), int(event.body["seq"])
        mine = self.steps.get(seq, _line("", "").iloc[:0])
        what = describe(event.kind, event.body)
        if mine.empty and self.thing.is_named(person):
            mine = _line(person, what)
        yield "decision", mine.assign(person=person, what=what)

    def approved(self, event: Event) -> _Lines:
        """Read an approval of the plan, or that it was taken back."""
        person = str(event.body["reviewer"])
        planned = self.rows[self.rows["disposition"] == "planned"]
        if self.thing.is_named(person) or len(self.thing.select(planned)):
            yield "approval", _line(person, describe(event.kind, event.body))

    def started(self, event: Event) -> _Lines:
        """Read who created the ledger, or called `submit`."""
        user = str(event.body.get("environment", event.body).get("user", ""))
        if self.thing.is_named(user):
            yield "request", _line(user, describe(event.kind, event.body))

    def request(self, event: Event) -> _Lines:
        """Read what became of a request; an intent names its shares."""
        chunk = str(event.body.get("chunk", ""))
        if event.kind == "intent":
            images, projects = event.body["images"], event.body["projects"]
            known = {image for image, _ in self.shares}.intersection(images) if self.shares else ()
            pairs = [(i, p) for i in known for p in projects if (i, p) in self.shares]
            self.requests[chunk] = pd.DataFrame(pairs, columns=["image_id", "project_id"])
        mine = self.requests.get(chunk)
        if mine is not None:
            yield "request", mine.assign(what=f"chunk {chunk}: {describe(event.kind, event.body)}")

    def outcomes(self, event: Event) -> _Lines:
        """Read the outcomes of rows."""
        mine = self.thing.select(self.rows)
        if len(mine):
            frame = self.ledger.get_frame(event.body["blob"], frame_schemas.OUTCOMES)
            found = frame.reindex(mine.index).fillna("")
            reason = (": " + found["reason"]).where(found["reason"] != "", "")
            yield "outcome", mine.assign(what=found["outcome"] + reason)

    def audited(self, event: Event) -> _Lines:
        """Read the rows of an audit."""
        rows = self.ledger.get_frame(event.body["rows_blob"], frame_schemas.AUDIT_ROWS)
        mine = self.thing.select(rows)
        yield "outcome", mine.assign(what=mine["result"] + ", the cloud shows " + mine["observed"])

    def snapshot(self, event: Event) -> _Lines:
        """Read what the clouds showed to members and owners before planning or sending."""
        for name, schema in frame_schemas.SNAPSHOT.items():
            field_name = f"{name}_blob"
            if "state" in schema.columns and field_name in event.body:
                mine = self.thing.select(self.ledger.get_frame(event.body[field_name], schema))
                yield "observation", mine.assign(what="the cloud shows " + mine["state"])

    def preflight(self, event: Event) -> _Lines:
        """Read what was not sent because of what the preflight found."""
        frame = self.ledger.get_frame(event.body["blob"], frame_schemas.PREFLIGHT)
        mine = self.thing.select(frame)
        mine = mine[mine["outcome"] != ""]
        yield "observation", mine.assign(what="preflight: " + mine["outcome"])

    def read_back(self, event: Event) -> _Lines:
        """Read what the clouds showed after sending."""
        frame = self.ledger.get_frame(event.body["blob"], frame_schemas.READ_BACK)
        mine = self.thing.select(frame.join(self.rows[SHARE_KEY], on="row_key"))
        shown = mine["state"].where(mine["unread"] == "", "could not be read, " + mine["unread"])
        what = "read back by the " + mine["side"] + ": " + shown
        yield "observation", mine.assign(what=what)

    def listed(self, event: Event) -> _Lines:
        """Read what the clouds listed for an audit."""
        schema = frame_schemas.SURVEY[event.body["what"]]
        if "image_id" in schema.columns:
            mine = self.thing.select(self.ledger.get_frame(event.body["blob"], schema))
            state = mine.get("state", "an image of its own")
            yield "observation", mine.assign(what="the cloud lists " + state)


def _line(person: str, what: str) -> pd.DataFrame:
    """Return one line that is about no single share."""
    return pd.DataFrame({"image_id": "", "project_id": "", "person": person, "what": what}, [0])


#: Kind of event -> what reads it.
_READERS: Final[Mapping[str, Callable[[_Search, Event], _Lines]]] = {
    "created": _Search.started, "submit_started": _Search.started, "planned": _Search.planned,
    "review_imported": _Search.decided, "decided": _Search.decided,
    "decision_undone": _Search.undone, "approved": _Search.approved,
    "approval_revoked": _Search.approved, "snapshot_taken": _Search.snapshot,
    "preflight_snapshot": _Search.snapshot, "cloud_listed": _Search.listed,
    "audit_recorded": _Search.audited, "outcomes_recorded": _Search.outcomes,
    **dict.fromkeys(REQUEST_EVENTS, _Search.request),
    "preflight_checked": _Search.preflight, "read_back": _Search.read_back,
}  # fmt: skip

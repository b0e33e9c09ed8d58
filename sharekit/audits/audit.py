"""Compare an inventory with everything the clouds show: read-only, every row accounted for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import pandas as pd

from sharekit.checks.check import check
from sharekit.checks.findings import Findings
from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.survey import take_survey
from sharekit.core.actions import MEMBER_STATES
from sharekit.core.cloud_api import DATE_LOOKUPS
from sharekit.core.columns import STR, first_difference
from sharekit.core.errors import UsageError
from sharekit.core.fields import GRAMMARS, SHARE_KEY
from sharekit.core.frame_schemas import CHECKED_ROWS, FINDINGS, SURVEY, WORDING
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.logs import clean_frames
from sharekit.core.monitoring.progress import Callback, shows_progress
from sharekit.core.provenance import __version__
from sharekit.core.rules import CONFIRMABLE, RULE_SET
from sharekit.ledger.events import EVENTS
from sharekit.ledger.ledger import Ledger
from sharekit.plans.policies.policy import Policies, Policy
from sharekit.plans.policies.policy_file import as_policies
from sharekit.plans.replay import inventory_differences
from sharekit.spreadsheets.inventory import Inventory

from .baseline import AUDIT, BASELINES, RUN, Baseline, from_audit
from .meanings import RESULTS
from .policy_check import check_columns, needs_times
from .results import Audit, build_audit
from .storage import load_baseline, read_audit

_log = logging.getLogger("sharekit.audits")


@clean_frames
@checks_arguments
@shows_progress("auditing")
def audit(
    inventory: Inventory | None,
    clouds: Clouds,
    *,
    since: str | PathLike[str] | Audit | None = None,
    owned: bool = True,
    progress: bool | Callback = True,
    policies: Policies | Policy | Sequence[Policy] | str | PathLike[str] | None = None,
    times: int = DATE_LOOKUPS,
) -> Audit:
    """Compare an inventory with what each project really shows; nothing is changed anywhere.

    A project that cannot be read is listed in :attr:`Audit.read_errors`, and its rows are
    ``unread`` unless the images' owner shows them.

    Parameters
    ----------
    inventory : Inventory or None
        From :func:`sharekit.read_inventory`. None lists every share, to start an inventory with.
    clouds : Clouds
        The projects to read, from :func:`sharekit.connect`.
    since : path or Audit, optional
        An earlier audit or its ledger (:func:`sharekit.audits.storage.save`), or the ledger of a
        run; :attr:`Audit.changes` then lists what changed. A run knows only its own rows.
    owned : bool
        Also read with whom the projects share their own images: one call for each of these images.
    progress : bool or callable
        False shows no progress; otherwise it is shown where the call takes over two seconds. A
        callable is called instead, as ``progress(what, done, total)``.
    policies : Policy, several of them, or path, optional
        What the shares are tested against: their decisions say what a share that meets the
        conditions has to be. :attr:`Audit.violations` lists those that are otherwise, and
        :attr:`Audit.not_judged` those of which something is not known.
    times : int
        Number of shares of each project whose times are looked up if a policy asks for a time;
        each costs a call. The times of further shares are not known.

    Returns
    -------
    Audit

    Raises
    ------
    UsageError
        If there is no cloud to read.
        A policy names a column that there is not, or is a function.
    InputError
        The file of policies holds what is no policy.
    LedgerError
        If ``since`` is no ledger, or is damaged.

    Examples
    --------
    >>> import sharekit
    >>> result = sharekit.audit(inventory, sharekit.connect("otc"))  # doctest: +SKIP
    >>> result.drift                                                # doctest: +SKIP
    12
    >>> trusted = ["0a…", "0b…"]
    >>> foreign = sharekit.policy("foreign owner", owner={"not": trusted}, then="reject")
    >>> sharekit.audit(None, clouds, policies=foreign).violations   # doctest: +SKIP
    """
    if not clouds:
        raise UsageError(
            "There is no cloud to read.",
            in_python="sharekit.connect(NAME) signs in to one.",
            in_shell="Name one with --cloud NAME.",
        )
    tested = None if policies is None else as_policies(policies)
    if tested is not None:
        check_columns(tested, [] if inventory is None else [*map(str, inventory.rows.columns)])
    baseline = _baseline(since)
    findings = None if inventory is None else check(inventory, confirm=CONFIRMABLE)
    survey = take_survey(
        clouds, _asked(findings, baseline), owned=owned,
        times=times if tested is not None and needs_times(tested) else None,
    )  # fmt: skip
    result = build_audit(findings, survey, baseline, tested)
    _log.info("audit of %d projects: %s", len(survey.projects), result)
    return result


def verify_audit(ledger: Ledger) -> Iterator[tuple[str, str]]:
    """Yield where and how an audit's ledger contradicts the survey and the inventory in it.

    With another set of rules than ours, the rows are made again from the findings in the ledger.
    """
    stored, event = read_audit(ledger), ledger.last_event("audit_recorded")
    body = event.body if event else {}
    where = f"event {event.seq if event else 0} (audit_recorded)"
    yield from ((f"event {number}", what) for number, what in _order_problems(ledger))
    numbers = {name: number for name, number in body.get("counts", {}).items() if number}
    if stored.fingerprint != body.get("fingerprint") or stored.drift != body.get("drift"):
        yield where, "its fingerprint or its drift is not that of its rows"
    if numbers != {name: number for name, number in stored.counts.items() if number}:
        yield where, "its counts are not those of its rows"
    for what in () if stored.inventory is None else inventory_differences(stored.inventory):
        yield "inventory_read", what
    yield from (("cloud_listed", what) for what in _survey_problems(stored))
    yield from (("baseline_loaded", what) for what in _baseline_problems(stored.baseline))
    findings, wording = stored.findings, stored.environment.get("sharekit") == __version__
    ours = body.get("rule_set", RULE_SET) == RULE_SET
    if findings is not None and ours:
        recorded, findings = findings, check(findings.inventory, confirm=CONFIRMABLE)
        names = [name for name in FINDINGS.names if wording or name not in WORDING]
        if difference := first_difference(recorded.frame, findings.frame, names):
            yield where, f"its findings do not follow from the inventory: {difference}"
        if difference := first_difference(recorded.rows, findings.rows, CHECKED_ROWS.names):
            yield where, f"its checked rows do not follow from the inventory: {difference}"
    if stored.policies is not None:
        yield from ((where, what) for what in _policy_problems(stored, body))
    made = build_audit(findings, stored.survey, stored.baseline).rows
    names = [str(name) for name in made.columns if wording or name != "reason"]
    if difference := first_difference(stored.rows, made, names):
        yield where, f"its rows do not follow from inventory and survey: {difference}"


def _policy_problems(audit: Audit, body: Mapping[str, Any]) -> Iterator[str]:
    assert audit.policies is not None  # noqa: S101 - for mypy: the caller has asked
    if audit.policies.fingerprint != body.get("policies_sha256"):
        yield "names another SHA-256 than its policies have"
    counts = {"violations": len(audit.violations), "not_judged": len(audit.not_judged)}
    for name, number in counts.items():
        if body.get(name) != number:
            yield f"its {name} is {body.get(name)!r:.80}, and should be {number}"


def _survey_problems(audit: Audit) -> Iterator[str]:
    """Yield what a survey cannot have shown, or must have shown of what was asked about."""
    survey = audit.survey
    for name, owner in (("shares", "project_id"), ("owned", "owner"), ("outgoing", "owner")):
        if not getattr(survey, name)[owner].isin(survey.projects["project_id"]).all():
            yield f"the {name} are also of a project that was not read"
    for prefix in ("", "owner_"):
        read = survey.projects[f"{prefix}code"] == ""
        if (survey.projects.loc[read, f"{prefix}reason"] != "").any():
            yield "says why a project could not be read that was read"
    for shares in (survey.shares, survey.outgoing):
        if ((shares["state"] == "") == (shares["unread"] == "")).any():
            yield "shows neither a state nor why it could not be read, or both"
    asked = _asked(audit.findings, audit.baseline)
    asked = asked[asked["project_id"].isin(survey.complete_projects)]
    shown = pd.MultiIndex.from_frame(survey.shares[SHARE_KEY])
    if not pd.MultiIndex.from_frame(asked[SHARE_KEY]).isin(shown).all():
        yield "lacks a share that was asked about"


def _baseline_problems(baseline: Baseline | None) -> Iterator[str]:
    """Yield what no audit or run can have shown; whether one did, only its own ledger tells."""
    if baseline is None:
        return
    shares, complete = baseline.shares, (baseline.complete_projects, baseline.complete_owners)
    if baseline.kind not in BASELINES or (baseline.kind == RUN and any(complete)):
        yield "is neither an audit nor a run"
    there = shares["state"].isin(MEMBER_STATES)
    unread = (shares["state"] == "") != (shares["result"] == "unread")
    absent = shares["result"].isin(["differs", "undecided", "unlisted", "shared-out"]) & ~there
    if not shares["result"].isin(list(RESULTS)).all() or unread.any():
        yield "has a share of no state or result"
    if (absent & (baseline.kind == AUDIT)).any():
        yield "has a result that contradicts the state of its share"


def _order_problems(ledger: Ledger) -> Iterator[tuple[int, str]]:
    """Yield what an audit cannot have: a listing twice, none of them, or another order."""
    kinds = [event.kind for event in ledger.iter_events()]
    inventory, baseline = (
        [kind] * (kind in kinds) for kind in ("inventory_read", "baseline_loaded")
    )
    expected = ["created", *inventory, *["cloud_listed"] * len(SURVEY), *baseline, "audit_recorded"]
    known = [kind for kind in kinds if kind in EVENTS and kind != "sealed"]
    if known != expected:
        yield len(kinds), "the events are not those of an audit, in their order"
    listings = ledger.list_events("cloud_listed")
    if [event.body["what"] for event in listings] != [*SURVEY]:
        yield len(kinds), "the listings are not those of an audit, each once, in their order"
    if len({event.body["taken_at"] for event in listings}) > 1:
        yield listings[0].seq, "the listings of one audit are of several times"
    for event in listings:
        schema = SURVEY.get(event.body["what"])
        if schema and len(ledger.get_frame(event.body["blob"], schema)) != event.body.get("lines"):
            yield event.seq, "the number of its lines is not the one recorded"


def _asked(findings: Findings | None, baseline: Baseline | None) -> pd.DataFrame:
    """Return the shares that a cloud is asked about: those of the rows, and of the baseline."""
    asked = _queryable_rows(findings)
    if baseline is not None:  # what was shared then is gone only if a look at it alone says so, too
        then = baseline.shares[baseline.shares["state"].isin(MEMBER_STATES)].assign(status="")
        asked = pd.concat([asked, then[asked.columns]], ignore_index=True)
    return asked


def _queryable_rows(findings: Findings | None) -> pd.DataFrame:
    """Return the rows whose IDs have a legal form, so that a cloud can be asked about them."""
    if findings is None:
        return pd.DataFrame(columns=[*SHARE_KEY, "status", "owner"], dtype=STR)
    rows = findings.rows
    legal = pd.Series(True, index=rows.index)  # noqa: FBT003 - the value of every row
    for name in SHARE_KEY:
        codes, values = pd.factorize(rows[name])
        legal &= pd.Series(values).str.fullmatch(GRAMMARS[name]).to_numpy(dtype=bool)[codes]
    return rows.loc[legal, [*SHARE_KEY, "status", "owner"]]


def _baseline(since: str | PathLike[str] | Audit | None) -> Baseline | None:
    if isinstance(since, Audit):
        return from_audit("(not kept)", since.fingerprint, since.rows, since.survey)
    return None if since is None else load_baseline(since)

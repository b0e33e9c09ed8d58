"""Reading back: what the clouds show of the shares that were sent, from every side that can look.

A decision is read back by the project that took it. What an owner did is read back by the owner,
and by the project it shares with where there is a sign-in for that one: both must show it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

import pandas as pd

from sharekit.clouds.cloud import ImageShare
from sharekit.clouds.registry import Clouds
from sharekit.clouds.state.reader import InDoubt
from sharekit.clouds.state.snapshot import read_back, read_back_members
from sharekit.core.actions import (
    MEMBER,
    OWNER,
    is_satisfied,
)
from sharekit.core.brakes import Pool
from sharekit.core.columns import STR, action_keys, is_among
from sharekit.core.errors import CloudError, CloudRefusedError, SignInError
from sharekit.core.fields import ACTION_KEY, ROW_ACTION, SHARE_KEY
from sharekit.core.frame_schemas import READ_BACK
from sharekit.ledger.ledger import Ledger

from .requests.log import (
    FINAL_STATES,
    LOG,
    Action,
    Observation,
    Request,
    RequestLog,
    Share,
    latest_state,
)

#: Project, image, role, state, and why there is no state.
_Line = tuple[str, str, str, str, str]
#: Seconds between two calls of a caller that waits for readings.
_TICK = 0.1


@dataclass
class ReadBack:
    """The latest state of each share of a run; every reading is an event of its ledger.

    A state counts only if it was read after the latest request for its share. The plan's ``rows``
    name the shares in the ledger. ``calls`` counts the
    calls of the cloud, ``denied`` are the projects and roles that may not read what they did, or
    cannot in this call. A project whose cloud is in trouble is left to another call by ``leave``.
    """

    ledger: Ledger
    log: RequestLog
    rows: pd.DataFrame
    clouds: Clouds
    calls: Counter[str]
    states: dict[Action, Observation]
    leave: Callable[[str, CloudError], None]
    denied: set[tuple[str, str]] = field(default_factory=set)

    def state(self, request: Request, share: Share) -> str | None:
        """Return the latest state of a share; of two sides the one that is not as wanted."""
        return latest_state(request, share, self.states)

    def is_confirmed(self, request: Request, share: Share) -> bool:
        """Return True if a share was read as wanted."""
        state = self.state(request, share)
        return state is not None and is_satisfied(request.action, state)

    def is_missing(self, request: Request, share: Share) -> bool:
        """Return True if a share was read otherwise than wanted; what nobody read is not."""
        state = self.state(request, share)
        return state is not None and not is_satisfied(request.action, state)

    def unconfirmed(self) -> list[tuple[Request, Share]]:
        """Return the shares that were sent and may still be found as wanted."""
        return [
            (request, share)
            for request in self.log.current()
            if request.was_sent and request.state in FINAL_STATES and self.can_read(request)
            for share in request.shares
            if self.state(request, share) is None
            or (not self.is_confirmed(request, share) and request.reported(share) != "failed")
        ]

    def can_read(self, request: Request) -> bool:
        """Return True if the cloud lets the acting project read what it did."""
        return (request.project_id, request.role) not in self.denied

    def may_still_show(self, request: Request, share: Share) -> bool:
        """Return True if this share was done, or may be done yet: a cloud that lags shows it later.

        What a lost request without an answer did not bring about is sent again instead.
        """
        reported = request.reported(share)
        answered = request.state == "done" or bool(request.response.job_id)
        return reported == "success" or (not reported and answered)

    def read(
        self, shares: list[tuple[Request, Share]], concurrency: int, tick: Callable[[], None]
    ) -> None:
        """Read shares once, and write down their states."""
        decided: dict[str, dict[Share, Request]] = {}
        offered: dict[str, dict[Share, Request]] = {}
        for request, (project, image) in shares:
            by_owner = request.role == OWNER
            if by_owner:
                offered.setdefault(request.project_id, {})[project, image] = request
            if not by_owner or (project in self.clouds and (project, MEMBER) not in self.denied):
                # What an administrator acts for is read image by image, all projects together.
                reader = self.clouds[project].acts_as or project
                decided.setdefault(reader, {})[project, image] = request
        sides = [
            (MEMBER, self._as_member, project, of_project)
            for project, of_project in decided.items()
        ] + [
            (OWNER, self._as_owner, project, of_project) for project, of_project in offered.items()
        ]
        # All projects share the requests that the cloud has shown it bears. Their readings wait for
        # these in threads of their own, so that none takes the place of what it waits for.
        with Pool(concurrency) as threads, Pool(concurrency) as requests:
            readings = [
                _Reading(
                    project, role, of_project, threads.submit(read, project, of_project, requests)
                )
                for role, read, project, of_project in sides
            ]
            while wait([reading.job for reading in readings], _TICK).not_done:
                tick()
        self._record(shares, [line for reading in readings for line in reading.lines()])
        _raise_first([error for reading in readings if (error := self._trouble(reading))])

    def _record(self, shares: list[tuple[Request, Share]], lines: list[_Line]) -> None:
        """Write down what was read and what was not, since one project's trouble is its own."""
        asked = [(*share, request.role) for request, share in shares]
        observed = _by_row(self.rows, asked, lines)
        unread = int((observed["unread"] != "").sum())
        LOG.info("read back %d shares; %d could not be read", len(observed) - unread, unread)
        with self.ledger.transaction():
            blob = self.ledger.put_frame(observed)
            seq = self.ledger.append("read_back", {"blob": blob, "images": len(observed)}).seq
        self.states.update(
            {(project, image, role): Observation(state, seq)
             for project, image, role, state, _ in lines if state}
        )  # fmt: skip

    def _as_member(self, _: str, shares: Mapping[Share, Request], pool: Pool) -> list[_Line]:
        self.calls["read"] += 1
        wanted: dict[str, set[str]] = {}
        for project, image in shares:
            wanted.setdefault(project, set()).add(image)
        found = read_back(self.clouds, wanted, pool, _in_doubt(shares))
        return [(p, share.image_id, MEMBER, share.state, share.unread) for p, share in found]

    def _as_owner(self, owner: str, shares: Mapping[Share, Request], pool: Pool) -> list[_Line]:
        projects: dict[str, list[str]] = {}
        for project, image in sorted(shares):
            projects.setdefault(image, []).append(project)
        self.calls["read"] += len(projects)
        found = read_back_members(self.clouds, owner, projects, pool, _in_doubt(shares))
        return [(p, share.image_id, OWNER, share.state, share.unread) for p, share in found]

    def _trouble(self, reading: _Reading) -> BaseException | None:
        """Return the error of a reading; that of one project's cloud is noted instead."""
        error = reading.job.exception()
        if not isinstance(error, CloudError):
            return error
        projects = {project for project, _ in reading.shares}
        if reading.role == OWNER:
            projects = {reading.project}
        self.denied |= {(project, reading.role) for project in projects}
        refused = isinstance(error, CloudRefusedError) and error.http in (401, 403, 404)
        if refused or isinstance(error, SignInError):
            code = error.code if isinstance(error, CloudRefusedError) else "HTTP401"
            for project in sorted(projects):
                body = {"project_id": project, "code": code, "reason": str(error)}
                self.ledger.append("read_back_denied", body)
        else:
            for project in sorted(projects):
                self.leave(project, error)
        return None


@dataclass(frozen=True)
class _Reading:
    """The reading of shares by one project, and what they look like once it has ended."""

    project: str
    role: str
    shares: Collection[Share]
    job: Future[list[_Line]]

    def lines(self) -> list[_Line]:
        """Return a line for each share: its state, or why it could not be read."""
        error = self.job.exception()
        if error is None:
            return self.job.result()
        return [(*share, self.role, "", str(error) or type(error).__name__)
                for share in sorted(self.shares)]  # fmt: skip


def _in_doubt(shares: Mapping[Share, Request]) -> InDoubt:
    """Return what tells if a listing and the response to a request do not agree."""

    def in_doubt(project: str, shown: ImageShare) -> bool:
        request = shares.get(share := (project, shown.image_id))
        return request is not None and not (
            request.reported(share) == "success" and is_satisfied(request.action, shown.state)
        )

    return in_doubt


def _by_row(rows: pd.DataFrame, asked: list[Action], lines: list[_Line]) -> pd.DataFrame:
    """Return lines with the rows whose actions were asked about; both sides show an owner's."""
    actions = pd.DataFrame(asked, columns=ACTION_KEY, dtype=STR)
    planned = (rows["disposition"] == "planned") & is_among(rows["image_id"], actions["image_id"])
    of_rows = action_keys(rows[planned]).reset_index().merge(actions, on=ACTION_KEY)
    read = pd.DataFrame(lines, columns=[*ACTION_KEY, "state", "unread"], dtype=STR)
    found = read.merge(of_rows.rename(columns={"side": "role"}), on=SHARE_KEY)
    shown = found[(found["side"] == MEMBER) | (found["role"] == OWNER)]
    return shown.sort_values(ROW_ACTION, ignore_index=True)[list(READ_BACK.names)]


def _raise_first(errors: list[BaseException]) -> None:
    """Raise the first error of several readings; one of a cloud has the last word."""
    for error in sorted(errors, key=lambda error: isinstance(error, CloudError)):
        raise error

"""A fleet as one value: planned, approved, looked at, reported and verified as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from sharekit.checks.findings import Findings
from sharekit.clouds.registry import Clouds
from sharekit.core.cloud_api import CHUNK_SIZE
from sharekit.core.errors import SharekitError, UsageError
from sharekit.core.monitoring.arguments import checks_arguments
from sharekit.core.monitoring.logs import clean_frames
from sharekit.core.monitoring.progress import shows_progress
from sharekit.core.provenance import name_error
from sharekit.plans.approval import ApprovalRequirement
from sharekit.reports.report import FORMATS, Reports, write
from sharekit.reports.verification.verify import Verdict
from sharekit.runs.settings import Settings

from .approving import approve_fleet
from .partitioned import Partitioned
from .planning import parts_to_retry, plan_fleet, retry_fleet
from .records import FleetStatus, PartStatus, read_status, report_source
from .storage import read_fleet, recover
from .verifying import verify_fleet


@dataclass(frozen=True)
class Fleet:
    """Many runs under one approval and one report.

    A fleet is a folder: ``fleet.ledger`` names its parts, and each ``part-NAME.ledger`` is an
    ordinary run, with which everything works that works on a run.

    Parameters
    ----------
    path : path
        The folder.

    Examples
    --------
    >>> fleet = Fleet.plan(findings, "june", by="account")     # doctest: +SKIP
    >>> fleet.approve(reviewer="Ada", fingerprint="1f3c5a7b")  # doctest: +SKIP
    >>> fleet.report("audit.xlsx")                             # doctest: +SKIP
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @classmethod
    @clean_frames
    @checks_arguments
    @shows_progress("planning the fleet")
    def plan(
        cls, findings: Findings | Partitioned, folder: str | PathLike[str], *, by: str | int,
        chunk_size: int = CHUNK_SIZE, max_images: int | None = None, planner: str = "",
        progress: bool = True,
    ) -> Fleet:  # fmt: skip
        """Split checked rows into parts, and plan each into a ledger of its own.

        Parameters
        ----------
        findings : Findings
            From :func:`sharekit.check`, of the whole inventory: what rows of several parts say
            about one share, or ask of one vault, is found before the split. Files of parquet with
            more rows than fit into memory are :meth:`.Partitioned.open`.
        folder : path
            The new fleet's folder, which must not exist yet, or be empty.
        by : str or int
            ``project``, ``account`` or ``region`` of the project that acts, or a number of parts.
        chunk_size, planner, progress
            As for :func:`sharekit.plan`.
        max_images : int, optional
            Maximum number of images that all parts together may change.

        Returns
        -------
        Fleet
            The fleet in that folder.

        Raises
        ------
        UsageError
            Nothing can be split by that, or the findings are not those of :func:`sharekit.check`.
        PlanError
            The plans are larger than ``max_images``, or ``chunk_size`` is less than 1.
        LedgerError
            The folder holds something already.
        """
        if planner.strip() and (error := name_error(planner.strip())):
            raise UsageError(error)
        plan_fleet(
            findings, Path(folder), by=str(by), chunk_size=chunk_size, max_images=max_images,
            planner=planner.strip(),
        )  # fmt: skip
        return cls(Path(folder))

    @property
    def fingerprint(self) -> str:
        """The fingerprint of all parts' plans as they are now."""
        return read_fleet(self.path).fingerprint

    @checks_arguments
    @shows_progress("approving the fleet")
    def approve(
        self, *, reviewer: str, fingerprint: str, note: str = "",
        sign: str | PathLike[str] | None = None, progress: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        """Approve all parts by (the beginning of) the fleet's fingerprint.

        Each part then holds an approval that is complete without the fleet. A later change of one
        part voids the approval of that part alone. The same call completes one that was
        interrupted. Parameters are those of :func:`sharekit.approve`.

        Returns
        -------
        dict
            ``reviewer, fingerprint, parts, images, note``, and ``approved``, the number of parts
            that the approval was written into.

        Raises
        ------
        ApprovalError
            As for :func:`sharekit.approve`, of any part; then nothing was approved.
        LedgerError
            A part is missing, is another ledger, is damaged or in use.
        """
        return approve_fleet(
            self.path, reviewer=reviewer, fingerprint=fingerprint, note=note, sign=sign
        )

    @clean_frames
    @checks_arguments
    @shows_progress("sending the fleet")
    def submit(
        self, *clouds: str, scheduler: str = "", workers: int = 4,
        config_file: str | PathLike[str] | None = None,
        secure_file: str | PathLike[str] | None = None, settings: Settings | None = None,
        demand: ApprovalRequirement | None = None, seal: str | PathLike[str] | None = None,
        progress: bool = True,
    ) -> FleetStatus:  # fmt: skip
        """Send the approved parts side by side; the same call resumes them.

        Parameters
        ----------
        *clouds
            Entries of ``clouds.yaml`` that each worker signs in to; without any, those that the
            parts were planned with.
        scheduler : str
            Address of a scheduler of ``dask.distributed``, on whose workers the parts are sent.
        workers : int
            Without a scheduler: number of processes of this machine.
        config_file, secure_file
            As for :func:`sharekit.connect`, on every worker.
        settings, demand
            As for :func:`sharekit.submit`.
        seal : path, optional
            OpenSSH key that signs all parts, and the fleet, once every part is finished.

        Returns
        -------
        FleetStatus
            Its ``errors`` say why parts could not be sent.

        Raises
        ------
        ApprovalError
            A part is not approved; nothing was sent.
        UsageError
            The engine or a worker cannot be used; nothing was sent.
        """
        from .sending import (  # noqa: PLC0415 - what reads a fleet needs no HTTP
            Engine,
            Job,
            finish_fleet,
            send_fleet,
        )

        recover(self.path)
        now = read_fleet(self.path.resolve())
        config, secure = (
            None if one is None else Path(one).resolve() for one in (config_file, secure_file)
        )
        job = Job(now.folder, clouds, config, secure, settings or Settings(),
                  demand or ApprovalRequirement())  # fmt: skip
        sent = send_fleet(now, job, Engine(scheduler, workers))
        finish_fleet(now.folder, seal)
        known = {name: one for name, one in sent.items() if isinstance(one, PartStatus)}
        errors = {name: one for name, one in sent.items() if isinstance(one, SharekitError)}
        return replace(read_status(read_fleet(self.path), known), errors=errors)

    @checks_arguments
    @shows_progress("reading the fleet")
    def status(self, *, progress: bool = True) -> FleetStatus:
        """Read how all parts stand, also while they are being sent.

        Returns
        -------
        FleetStatus
            The outcomes and what is open, in all and for each part.

        Raises
        ------
        LedgerError
            A part is missing, is another ledger, or is damaged.
        """
        return read_status(read_fleet(self.path))

    @checks_arguments
    @shows_progress("writing reports")
    def report(self, *paths: str | PathLike[str], progress: bool = True) -> list[Path]:
        """Write reports over all parts; the suffix of each path names its format.

        A table lists the parts, and what is open in which. Of a fleet with more rows than a
        sheet of a workbook has, only csv and parquet are written, in the order of the parts.

        Returns
        -------
        list of Path
            The files written, in the order of ``paths``.

        Raises
        ------
        UsageError
            No file is named, or a suffix is no format.
        LedgerError
            A part is missing, is another ledger, or is damaged.
        InputError
            A file cannot be written.
        """
        if not paths:
            raise UsageError(f"Name the files to write, by suffix: {', '.join(FORMATS)}.")
        return Reports(write(report_source(read_fleet(self.path)), *paths))

    @clean_frames
    @checks_arguments
    @shows_progress("planning a retry")
    def retry(
        self, folder: str | PathLike[str], clouds: Clouds | None = None, *,
        chunk_size: int = CHUNK_SIZE, max_images: int | None = None, progress: bool = True,
    ) -> Fleet:  # fmt: skip
        """Plan a new fleet of what failed, was contradicted, or stayed unknown.

        Its parts are those with such rows; each follows on the part of the same name, as
        :func:`sharekit.retry` makes it.

        Returns
        -------
        Fleet
            The new fleet; it has to be approved by itself.

        Raises
        ------
        PlanError
            A part is not finished, nothing is left to retry, or more than ``max_images``.
        LedgerError
            The folder holds something already.
        """
        fleet = read_fleet(self.path)
        retry_fleet(
            fleet, parts_to_retry(fleet), Path(folder), clouds, chunk_size=chunk_size,
            max_images=max_images,
        )  # fmt: skip
        return Fleet(Path(folder))

    @checks_arguments
    @shows_progress("verifying")
    def verify(
        self, *reports: str | PathLike[str], signers: str | PathLike[str] | None = None,
        reviewers: int = 1, progress: bool = True,
    ) -> Verdict:  # fmt: skip
        """Check the fleet's ledger, every part, that they belong together, and reports of them.

        Parameters are those of :func:`sharekit.verify`; every part must be approved and sealed as
        ``signers`` demands.

        Returns
        -------
        Verdict
            One verdict over all: what was changed, and what nobody can prove.

        Raises
        ------
        LedgerError
            There is no fleet in the folder.
        """
        required = None if signers is None else ApprovalRequirement(reviewers, signers)
        return verify_fleet(self.path, [Path(path) for path in reports], required)

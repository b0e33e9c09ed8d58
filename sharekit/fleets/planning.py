"""Plans a fleet: a folder with a ledger for each part, and one that names them all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sharekit.checks.findings import Findings
from sharekit.clouds.registry import Clouds
from sharekit.core.errors import InputError, LedgerError, PlanError, UsageError
from sharekit.core.files import file_names
from sharekit.core.monitoring.progress import report
from sharekit.core.outcomes import RETRYABLE
from sharekit.core.provenance import environment
from sharekit.ledger.integrity import created_body
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.lock import is_busy
from sharekit.plans.plan import Plan, check_origin, plan
from sharekit.runs.follow_up import retry
from sharekit.runs.status import status

from .partitioned import Partitioned
from .split import check_count, check_split, split
from .storage import FLEET_LEDGER, PART_LEDGER, Part, StoredFleet, read_part, root_of


class PlannedFleet(NamedTuple):
    """What planning a fleet made: the number of each kind of row, of every part and in all."""

    folder: Path
    by: str
    fingerprint: str
    parts: dict[str, dict[str, Any]]

    @property
    def counts(self) -> dict[str, Any]:
        """As :attr:`.Plan.counts`, over all parts; the fingerprint is the fleet's."""
        names = [name for name in next(iter(self.parts.values())) if name != "fingerprint"]
        counts = {name: sum(part[name] for part in self.parts.values()) for name in names}
        return {**counts, "fingerprint": self.fingerprint}


#: Makes the plan of each part in a folder; yields the part's name with it.
Plans = Callable[[Path], Iterator[tuple[str, Plan]]]


def plan_fleet(
    findings: Findings | Partitioned, folder: Path, *, by: str, chunk_size: int,
    max_images: int | None, planner: str, replaces: str = "",
) -> PlannedFleet:  # fmt: skip
    """Split checked rows, and plan each part into a ledger of its own.

    The folder appears when all of it is there. A call that was killed leaves a hidden folder
    beside it, which the same call replaces.
    """
    check_split(by)
    if isinstance(findings, Findings):
        check_origin(findings)

    def plans(made: Path) -> Iterator[tuple[str, Plan]]:
        used: set[str] = set()
        known = by not in ("account", "region")
        buckets = [(findings, by)] if isinstance(findings, Findings) else findings.buckets(made, by)
        for bucket, number in buckets:
            labels, parts = split(bucket, number)
            check_count(by, len(used) + len(labels))
            known |= any(labels)
            if by.isdecimal():
                first = len(used) + 1
                labels = [str(first + n).zfill(len(by)) for n in range(len(labels))]
            names = file_names((label or "rest" for label in labels), "{}", used)
            for done, (name, part) in enumerate(zip(names, parts, strict=True), 1):
                report("planning the parts", done, len(names))
                path = made / PART_LEDGER.format(name)
                yield name, plan(part, path, chunk_size=chunk_size, planner=planner)
        if not known:
            raise UsageError(
                f"No row is known to belong to any {by}, so nothing can be split by it.",
                in_python="Check the inventory with clouds: sharekit.check(inventory, clouds).",
                in_shell="Name the clouds with --cloud.",
            )

    more = {"replaces": replaces} if replaces else {}
    sources = (
        [[source.file, source.sheet] for source in findings.inventory.sources]
        if isinstance(findings, Findings)
        else [[file.name, ""] for file in findings.files]
    )
    return _make_fleet(folder, plans, {"by": by, "sources": sources, **more}, max_images)


def parts_to_retry(fleet: StoredFleet) -> list[Part]:
    """Return the parts with rows that failed or stayed unknown; nobody needs to sign in for that.

    Raises
    ------
    PlanError
        There is none.
    """
    found = []
    for number, part in enumerate(fleet.parts, 1):
        report("reading the parts", number, len(fleet.parts))
        if status(part.path).rows["outcome"].isin(RETRYABLE).any():
            found.append(part)
    if not found:
        raise PlanError("No row failed or stayed unknown, so there is nothing to retry.")
    return found


def retry_fleet(
    fleet: StoredFleet, parts: Sequence[Part], folder: Path, clouds: Clouds | None, *,
    chunk_size: int, max_images: int | None,
) -> PlannedFleet:  # fmt: skip
    """Plan a fleet of the rows that failed or stayed unknown in some parts of another."""

    def plans(made: Path) -> Iterator[tuple[str, Plan]]:
        for number, part in enumerate(parts, 1):
            report("planning the parts", number, len(parts))
            target = made / part.path.name
            yield part.name, retry(part.path, target, clouds, chunk_size=chunk_size)

    more = {"by": fleet.plan.body["by"], "sources": fleet.plan.body["sources"]}
    return _make_fleet(folder, plans, {**more, "follows": fleet.head}, max_images)


def _make_fleet(
    folder: Path, plans: Plans, more: Mapping[str, Any], max_images: int | None
) -> PlannedFleet:
    """Make a fleet of plans in a new folder."""
    counts: dict[str, dict[str, Any]] = {}
    parts: list[Part] = []
    with _new_folder(folder) as made, Ledger.create(made / FLEET_LEDGER) as ledger:
        ledger.append("created", created_body(ledger, environment()))
        for name, planned in plans(made):
            counts[name] = planned.counts
            with Ledger.open(planned.path) as part:
                parts.append(read_part(name, part))
        changed = sum(part.images for part in parts)
        if max_images is not None and changed > max_images:
            raise PlanError(
                f"The fleet would change {changed:,} images, more than the limit of "
                f"{max_images:,}. Check the inventory, or raise the limit."
            )
        ledger.append("fleet_planned", {**more, **plans_body(parts)})
    return PlannedFleet(folder, str(more["by"]), root_of(parts)[0], counts)


def plans_body(parts: Sequence[Part]) -> dict[str, Any]:
    """Return what an event ``fleet_planned`` holds of the plans as they are now."""
    return {
        "rows": sum(part.rows for part in parts),
        "images": sum(part.images for part in parts),
        "fingerprint": root_of(parts)[0],
        "parts": [part.to_body() for part in parts],
    }


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Make a folder beside its place, and move it there when it is complete."""
    folder = folder.resolve()
    made = folder.with_name(f".{folder.name}.planning")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise LedgerError(f"{folder} holds something already: choose another for the new fleet.")
    if is_busy(made / FLEET_LEDGER):
        raise LedgerError(f"Another process is planning {folder}: wait until it has ended.")
    try:
        if made.exists():
            shutil.rmtree(made)
        made.mkdir(mode=0o700)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}.") from error
    try:
        yield made
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    try:
        if folder.exists():
            folder.rmdir()
        made.rename(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}.") from error

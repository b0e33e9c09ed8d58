"""A folder of runs: what lies in it, and the steps that begin there; the start page shows it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from sharekit.audits import storage
from sharekit.audits.audit import audit
from sharekit.checks.check import check
from sharekit.clouds.clouds_yaml import environment_name, read_clouds_yaml
from sharekit.clouds.registry import Clouds
from sharekit.clouds.sign_in import connect
from sharekit.core.brakes import Pool
from sharekit.core.columns import with_unit
from sharekit.core.errors import InputError, SharekitError, UsageError
from sharekit.core.files import file_names, shown_name
from sharekit.core.monitoring.progress import Callback
from sharekit.ledger.ledger import Ledger
from sharekit.ledger.lock import is_busy
from sharekit.plans.approval import ApprovalRequirement
from sharekit.plans.plan import plan
from sharekit.reports.report import report
from sharekit.runs.status import clouds_of, status
from sharekit.spreadsheets.input import FORMATS, Limits, list_formats, load
from sharekit.spreadsheets.inventory import Inventory
from sharekit.spreadsheets.reading import read_inventory
from sharekit.spreadsheets.writing.safe_cells import save_new

from .review_run import REPORTS, report_paths
from .review_state import read_gate

#: Suffixes of files that can be chosen, and how many files and ledgers are listed, newest first.
SUFFIXES: Final = tuple(f".{form.name}" for form in FORMATS)
_LISTED, _SIGN_INS = 200, 8
_STAGES: Final = {
    "deciding": "not approved yet", "approving": "not approved by all who have to",
    "approved": "approved, not sent yet", "sending": "begun, not finished", "finished": "finished",
}  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """A ledger in the folder: its file's name, ``run``, ``audit`` or ``""``, and its state."""

    name: str
    kind: str
    state: str


class Upload:
    """A file that arrives in pieces; it is in the folder once all of them have."""

    def __init__(self, folder: Path, name: str, size: int, limits: Limits) -> None:
        base = Path(shown_name(name.replace("\\", "/"))).name
        suffix = Path(base).suffix.lower()
        if suffix not in SUFFIXES:
            raise InputError(f"{base} is no {list_formats()} file; save it as one of these.")
        if size < 1:
            raise InputError(f"{base} is empty; choose another file.")
        limits.check_size(base, size)
        self.name = file_names([Path(base).stem], f"{{}}{suffix}")[0]
        self.size, self.arrived, self._folder = size, 0, folder
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - close does

    def add(self, offset: int, piece: bytes) -> bool:
        """Add the piece that begins at ``offset``; return True if it was the last one."""
        if not piece or offset != self.arrived or offset + len(piece) > self.size:
            raise InputError(f"{self.name} changed while it was read; choose it again.")
        self._file.write(piece)
        self.arrived += len(piece)
        return self.arrived == self.size

    def keep(self) -> str:
        """Move the file into the folder, under a name that is free, and return the name."""

        def save(path: Path) -> None:
            with path.open("wb") as target:
                self._file.seek(0)
                shutil.copyfileobj(self._file, target)

        return save_new(save, _free(self._folder / self.name)).name

    def close(self) -> None:
        """Forget what has arrived."""
        self._file.close()


class RunFolder:
    """The ledgers and workbooks of one folder, and the steps that begin or go on from them.

    Clouds are named as in ``clouds.yaml``, which openstacksdk's rules find.
    """

    def __init__(self, folder: str | os.PathLike[str], limits: Limits | None = None) -> None:
        self.path = Path(folder).absolute()
        self.limits = limits or Limits()
        self._states: dict[tuple[str, str], Listed] = {}
        if not self.path.is_dir():
            raise UsageError(f"{self.path} is no folder: create it, or name another one.")

    # -- looking -----------------------------------------------------------------------------------
    def ledgers(self) -> list[Listed]:
        """Return the ledgers with their states, the newest first."""
        return [self._state(path) for path in self._newest((".ledger",))]

    def inputs(self) -> list[str]:
        """Return the names of the files that may be inventories, the newest first."""
        names = [path.name for path in self._newest(SUFFIXES)]
        return [name for name in names if not name.endswith(tuple(f"-{end}" for end in REPORTS))]

    def _newest(self, suffixes: tuple[str, ...]) -> list[Path]:
        with os.scandir(self.path) as entries:
            found = [
                (entry.stat().st_mtime_ns, entry.name) for entry in entries
                if entry.name.lower().endswith(suffixes) and entry.name[0] not in ".~"
                and entry.is_file()
            ]  # fmt: skip
        return [self.path / name for _, name in sorted(found, reverse=True)[:_LISTED]]

    def _state(self, path: Path) -> Listed:
        try:
            with Ledger.open(path, verify_chain=False) as ledger:
                known = path.name, ledger.head
                if known not in self._states:
                    self._states[known] = _read_state(path, ledger)
        except (SharekitError, OSError) as error:
            return Listed(path.name, "", str(error))
        listed = self._states[known]
        busy = listed.kind == "run" and is_busy(path)
        return replace(listed, state="being sent now") if busy else listed

    # -- clouds ------------------------------------------------------------------------------------
    @staticmethod
    def clouds() -> list[str]:
        """Return the entries of ``clouds.yaml``, and the one of the ``OS_*`` variables."""
        own = [environment_name()] if os.environ.get("OS_AUTH_URL") else []
        return list(dict.fromkeys([*read_clouds_yaml(None, None).names(), *own]))

    @staticmethod
    def test_sign_in(names: Sequence[str]) -> dict[str, tuple[bool, str]]:
        """Sign in to each cloud by itself; return by its name if it worked, and a sentence."""
        with Pool(_SIGN_INS) as pool:
            calls = {name: pool.submit(_try_sign_in, name) for name in names}
            return {name: call.result() for name, call in calls.items()}

    # -- steps -------------------------------------------------------------------------------------
    def new_run(self, name: str, clouds: Sequence[str], progress: Callback) -> Path:
        """Check an inventory, also against clouds; plan it in a new ledger, and return that."""
        inventory = self._read(name)
        signed_in = connect(*clouds) if clouds else None
        findings = check(inventory, signed_in, progress=progress)
        return plan(findings, _free(self.path / f"{Path(name).stem}.ledger")).path

    def clouds_for(self, name: str, clouds: Sequence[str]) -> Clouds | None:
        """Return ``clouds`` for a run that was planned without; others know theirs."""
        return connect(*clouds) if clouds and not clouds_of(self.file(name)) else None

    def report(self, name: str) -> list[Path]:
        """Write the reports of a run or an audit beside its ledger."""
        path = self.file(name)
        return list(report(path, *report_paths(path)))

    def audit(self, name: str, clouds: Sequence[str], progress: Callback) -> tuple[str, list[Path]]:
        """Compare an inventory with clouds; return the result in words, and the reports.

        Without an inventory (``""``) the report is one, to begin with.
        """
        if not clouds:
            raise UsageError("Choose the clouds to audit.")
        result = audit(self._read(name) if name else None, connect(*clouds), progress=progress)
        stem = Path(name).stem if name else "shares"
        ledger = storage.save(result, _free(self.path / f"{stem}-compliance.ledger"))
        files = report_paths(ledger) if name else [_free(self.path / "inventory.xlsx")]
        return repr(result)[1:-1], list(report(result, *files))

    def _read(self, name: str) -> Inventory:
        # By its bytes, so that ledgers and reports name the file, and not where it lies.
        content = load(self.file(name), self.limits).data
        return read_inventory(content, name=name, limits=self.limits)

    def file(self, name: str) -> Path:
        """Return the path of a file of this folder, and of no other one."""
        if Path(name).name != name or not (self.path / name).is_file():
            raise InputError(
                f"There is no file {shown_name(name)} in {self.path}; choose another one."
            )
        return self.path / name


def _free(path: Path) -> Path:
    """Return a path, with a number if there is such a file already."""
    stem, number = path.stem, 2
    while path.exists():
        path, number = path.with_name(f"{stem}-{number}{path.suffix}"), number + 1
    return path


def _read_state(path: Path, ledger: Ledger) -> Listed:
    if ledger.last_event("audit_recorded") is not None:
        return Listed(path.name, "audit", "audit")
    stage = read_gate(ledger, ApprovalRequirement()).stage
    told = _STAGES[stage]
    if stage in ("sending", "finished"):
        counts = status(path).counts
        told += ": " + ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return Listed(path.name, "run", told)


def _try_sign_in(name: str) -> tuple[bool, str]:
    try:
        clouds = connect(name)
    except (SharekitError, OSError) as error:
        return False, str(error)
    projects = list(clouds)
    only = clouds.project_name(projects[0])[0] or projects[0] if len(projects) == 1 else ""
    told = [
        f"signed in to {only or with_unit(len(projects), 'project')}",
        *clouds.warnings.get(name, ()),
    ]
    return True, "; ".join(told)

"""A sample: a workbook as people keep them, the cloud it speaks of, and what becomes of its rows.

Deterministic in its arguments. The sheet holds the mistakes that such lists really have, in the
share ``faulty`` of its rows; what is expected of each row stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from xlsxwriter import Workbook

from sharekit.core.actions import ACCEPTED, PENDING
from sharekit.core.columns import STR
from sharekit.core.errors import InputError

from .seed import Image, Project, Seed, Share, Vault, invented_id, operators

HEADERS: Final = (
    "Image ID",
    "Image name",
    "Project ID",
    "Decision",
    "Vault ID",
    "Full ECS",
    "Owner",
    "Ticket",
    "Comment",
)
#: Lines above the header of the written workbook.
TITLE_LINES: Final = 3
#: kind -> the outcome of its rows when the cloud itself has no faults.
KINDS: Final[Mapping[str, str]] = {
    "clean": "confirmed",
    "full-ecs": "confirmed",
    "already": "already",
    "duplicate": "duplicate",
    "conflict": "blocked",
    "upper-case": "confirmed",
    "braces": "confirmed",
    "no-dashes": "confirmed",
    "no-break-space": "confirmed",
    "status-word": "confirmed",
    "hostile-text": "confirmed",
    "truncated-id": "blocked",
    "number-cell": "blocked",
    "error-cell": "blocked",
    "missing-project": "blocked",
    "bad-status": "blocked",
    "unknown-image": "blocked",
    "not-shared": "blocked",
    "own-image": "blocked",
    "no-vault": "blocked",
    "unknown-vault": "blocked",
    "locked-vault": "blocked",
}
#: Kinds in which something is odd or wrong; a sample with ``faulty=0`` has none of them.
FAULTY_KINDS: Final = tuple(kind for kind in KINDS if kind not in ("clean", "full-ecs"))
_TEAMS = ("Analytics", "Billing", "Commerce", "Data Lake", "Edge", "Finance", "Genomics", "Health")
_SYSTEMS = ("rhel9", "ubuntu-24.04", "windows-2022", "debian-13", "suse-15", "alma-9")
_HOSTILE = (
    "=1+1",
    "<img src=x onerror=alert(1)>",
    "+cmd|' /C calc'!A0",
    "@SUM(1,1)",
    "\u202etxt.exe",
    "<script>alert('x')</script>",
    "-2+3",
    "$\\LaTeX$ & “quotes” 'n' ; , \t tab",
)
_FULL_ECS_EVERY = 10
_REJECT_EVERY = 5
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}


@dataclass(frozen=True)
class Sample:
    """A sheet, its cloud, and what is expected.

    Attributes
    ----------
    sheet : DataFrame
        The columns of :data:`HEADERS`, object dtype: text, "" for blank, and in rows of kind
        ``number-cell`` a float.
    seed : Seed
        The cloud, before anything is decided.
    expected : DataFrame
        Index as the sheet's; str columns ``kind`` and ``outcome`` (see :data:`KINDS`), and the true
        ``image_id``, ``project_id`` and ``status`` of the row.
    """

    sheet: pd.DataFrame
    seed: Seed
    expected: pd.DataFrame


def build_sample(
    rows: int = 500, *, faulty: float = 0.1, projects: int = 4, seed: int = 7
) -> Sample:
    """Build a sample of ``rows`` rows, of which the share ``faulty`` is odd or wrong.

    The last project has an ID of digits only, which a spreadsheet takes for a number if it may.
    With ``faulty`` > 0 every kind occurs that there is room for; ``already`` and repaired rows
    count as faulty although their outcome is good. A duplicate repeats a clean row above it;
    conflicts come in pairs.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> sample = build_sample(100)
    >>> len(sample.sheet), sample.expected["outcome"].nunique()
    (100, 4)
    """
    if rows < 1 or projects < 1 or not 0.0 <= faulty <= 0.9:
        raise InputError("A sample needs rows and projects ≥ 1, and faulty from 0 to 0.9.")
    dice = np.random.default_rng(seed)
    fixtures = _Fixtures(projects, seed)
    truth = _truth(rows, fixtures, dice)
    truth["kind"] = _kinds(truth, round(rows * faulty), dice)
    truth.loc[truth["kind"] == "own-image", "owner"] = truth["project_id"]
    _pair(truth)
    sheet = _sheet(truth, fixtures)
    for kind, damage in _DAMAGE.items():
        picked = truth.index[truth["kind"] == kind]
        if len(picked):
            damage(sheet, picked)
    expected = truth[["kind", "image_id", "project_id", "status"]].astype(STR)
    expected.insert(1, "outcome", expected["kind"].map(KINDS))
    return Sample(sheet, _seed(truth, fixtures), expected)


class _Fixtures:
    """The projects and vaults of a sample."""

    def __init__(self, count: int, seed: int) -> None:
        ids = [invented_id("project", seed, n) for n in range(count)]
        ids[-1] = str(int(invented_id("digits", seed), 16))[:31].rjust(32, "9")
        names = [
            _TEAMS[n % len(_TEAMS)] + (f" {n // len(_TEAMS) + 1}" if n >= len(_TEAMS) else "")
            for n in range(count)
        ]
        self.consumers = [Project(p, f"Team {name}") for p, name in zip(ids, names, strict=True)]
        self.owner = Project(invented_id("owner", seed), "Golden Images")
        self.vaults = [
            Vault(_uuid(invented_id("vault", seed, p)), p, f"vault-{n}", size=10_000_000)
            for n, p in enumerate(ids)
        ]
        self.locked = [
            Vault(_uuid(invented_id("locked", seed, p)), p, f"locked-{n}", status="lock", size=100)
            for n, p in enumerate(ids)
        ]


def _truth(rows: int, fixtures: _Fixtures, dice: np.random.Generator) -> pd.DataFrame:
    project = dice.integers(len(fixtures.consumers), size=rows)
    number = np.arange(rows)
    ids = np.array([p.id for p in fixtures.consumers])
    vaults = np.array([v.id for v in fixtures.vaults])
    whole = number % _FULL_ECS_EVERY == _FULL_ECS_EVERY - 1
    rejected = number % _REJECT_EVERY == _REJECT_EVERY - 2
    rejected |= number % (3 * _FULL_ECS_EVERY) == 3 * _FULL_ECS_EVERY - 1
    status = np.where(rejected, "rejected", "accepted")
    systems = np.array(_SYSTEMS)[dice.integers(len(_SYSTEMS), size=rows)]
    return pd.DataFrame(
        {
            "image_id": _uuids(rows, dice),
            "name": [f"{system}-{n:06d}" for n, system in enumerate(systems)],
            "project": project,
            "project_id": ids[project],
            "status": status,
            "vault_id": np.where(whole, vaults[project], ""),
            "whole": whole,
            "owner": fixtures.owner.id,
            "ticket": [f"CHG-{n}" for n in dice.integers(10_000, 99_999, size=rows)],
        }
    )


def _uuids(count: int, dice: np.random.Generator) -> list[str]:
    digits = dice.bytes(16 * count).hex()
    return [_uuid(digits[at : at + 32]) for at in range(0, 32 * count, 32)]


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


def _kinds(truth: pd.DataFrame, count: int, dice: np.random.Generator) -> pd.Series[str]:
    kinds = np.where(truth["whole"], "full-ecs", "clean").astype(object)
    # Row 0 stays clean, so that a duplicate always has somebody to repeat.
    plain = truth.index[~truth["whole"] & (truth.index > 0)].to_numpy()
    picked = np.sort(dice.choice(plain, size=min(count, len(plain)), replace=False))
    kinds[picked] = np.resize(np.array(FAULTY_KINDS), len(picked))
    conflicts = np.flatnonzero(kinds == "conflict")
    if len(conflicts) % 2:
        kinds[conflicts[-1]] = "upper-case"
    return pd.Series(kinds, index=truth.index, dtype=STR)


def _pair(truth: pd.DataFrame) -> None:
    """Make each duplicate repeat a clean row, and each second conflict contradict the first."""
    carried = ["image_id", "name", "project", "project_id", "status", "ticket"]
    clean = truth.index[truth["kind"] == "clean"].to_numpy()
    copies = truth.index[truth["kind"] == "duplicate"].to_numpy()
    sources = clean[np.searchsorted(clean, copies) - 1]
    truth.loc[copies, carried] = truth.loc[sources, carried].to_numpy()
    conflicts = truth.index[truth["kind"] == "conflict"].to_numpy()
    first, second = conflicts[::2], conflicts[1::2]
    truth.loc[second, carried] = truth.loc[first, carried].to_numpy()
    truth.loc[first, "status"], truth.loc[second, "status"] = "accepted", "rejected"
    must_accept = truth["kind"].isin(["already", "no-vault", "unknown-vault", "locked-vault"])
    truth.loc[must_accept, "status"] = "accepted"


def _sheet(truth: pd.DataFrame, fixtures: _Fixtures) -> pd.DataFrame:
    full = truth["whole"] | truth["kind"].isin(["no-vault", "unknown-vault", "locked-vault"])
    sheet = pd.DataFrame(
        {
            "Image ID": truth["image_id"],
            "Image name": truth["name"],
            "Project ID": truth["project_id"],
            "Decision": truth["status"],
            "Vault ID": truth["vault_id"].where(truth["status"] == "accepted", ""),
            "Full ECS": np.where(full, "yes", ""),
            "Owner": truth["owner"],
            "Ticket": truth["ticket"],
            "Comment": "",
        }
    ).astype(object)
    locked = truth.index[truth["kind"] == "locked-vault"]
    vaults = np.array([v.id for v in fixtures.locked], dtype=object)
    sheet.loc[locked, "Vault ID"] = vaults[truth.loc[locked, "project"]]
    return sheet


Damage = Callable[[pd.DataFrame, "pd.Index[int]"], None]


def _change(column: str, change: Callable[[str], object]) -> Damage:
    def damage(sheet: pd.DataFrame, picked: pd.Index[int]) -> None:
        sheet.loc[picked, column] = sheet.loc[picked, column].map(change)

    return damage


def _cycle(column: str, values: Iterable[object]) -> Damage:
    choices = np.array(list(values), dtype=object)

    def damage(sheet: pd.DataFrame, picked: pd.Index[int]) -> None:
        sheet.loc[picked, column] = np.resize(choices, len(picked))

    return damage


def _status_words(sheet: pd.DataFrame, picked: pd.Index[int]) -> None:
    words = {"accepted": ["Approve", "yes", "OK"], "rejected": ["no", "Decline", "REJECT"]}
    for status, choices in words.items():
        chosen = picked[(sheet.loc[picked, "Decision"] == status).to_numpy()]
        _cycle("Decision", choices)(sheet, chosen)


def _hostile(sheet: pd.DataFrame, picked: pd.Index[int]) -> None:
    _cycle("Comment", _HOSTILE)(sheet, picked)
    _cycle("Image name", _HOSTILE[::-1])(sheet, picked)


_DAMAGE: Final[Mapping[str, Damage]] = {
    "upper-case": _change("Image ID", str.upper),
    "braces": _change("Image ID", "{{{}}}".format),
    "no-dashes": _change("Image ID", lambda text: text.replace("-", "")),
    "no-break-space": _change("Image ID", "\u00a0{}\u00a0".format),
    "status-word": _status_words,
    "hostile-text": _hostile,
    "truncated-id": _change("Image ID", lambda text: text[:23]),
    "number-cell": _cycle("Project ID", [1.2345678901234568e31]),
    "error-cell": _cycle("Project ID", ["#N/A"]),
    "missing-project": _cycle("Project ID", [""]),
    "bad-status": _cycle("Decision", ["maybe", "ask Ada", "?"]),
    "unknown-vault": _change("Vault ID", lambda _: _uuid(invented_id("no such vault"))),
}


def _seed(truth: pd.DataFrame, fixtures: _Fixtures) -> Seed:
    kinds = truth["kind"]
    real = truth[~kinds.isin(["unknown-image", "duplicate"])].drop_duplicates("image_id")
    full = real["whole"] | real["kind"].isin(["no-vault", "unknown-vault", "locked-vault"])
    facts = zip(real["image_id"], real["owner"], real["name"], full, strict=True)
    shared = real[~real["kind"].isin(["not-shared", "own-image"])]
    states = np.where(shared["kind"] == "already", ACCEPTED, PENDING).tolist()
    users, keys = operators()
    return Seed(
        projects=(*fixtures.consumers, fixtures.owner),
        users=users,
        keys=keys,
        images=tuple(Image(i, o, n, whole_image=bool(w)) for i, o, n, w in facts),
        shares=tuple(map(Share, shared["image_id"], shared["project_id"], states)),
        vaults=(*fixtures.vaults, *fixtures.locked),
    )


def write_workbook(sample: Sample, path: str | Path) -> Path:
    """Write the sheet as a workbook (xlsx) that a person would like to open; returns its path.

    Titles above the header, frozen panes, widths, an autofilter. Text stays text: what looks like a
    formula is none; ``#N/A`` is what a formula gives, and a float is a number cell.

    Raises
    ------
    InputError
        If the file exists already, or cannot be written.
    """
    target = Path(path)
    if target.exists():
        raise InputError(f"{target} exists already; name another file or remove it.")
    content = BytesIO()
    part = target.with_name(f".{target.name}.part")
    with Workbook(content, _OPTIONS) as workbook:
        _lay_out(workbook, sample)
    try:
        part.write_bytes(content.getbuffer())
        return part.replace(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error.strerror}).") from error
    finally:
        part.unlink(missing_ok=True)


def _lay_out(workbook: Any, sample: Sample) -> None:
    page = workbook.add_worksheet("Shares")
    page.freeze_panes(TITLE_LINES + 1, 1)
    page.autofilter(TITLE_LINES, 0, TITLE_LINES + len(sample.sheet), len(HEADERS) - 1)
    for column, width in enumerate((39, 24, 36, 12, 39, 10, 36, 12, 40)):
        page.set_column(column, column, width)
    title = "Shared images: decisions of the teams"
    page.write(0, 0, title, workbook.add_format({"bold": True, "font_size": 14}))
    note = f"{len(sample.sheet)} rows. A sample: projects, images and people are invented."
    page.write(1, 0, note)
    header = workbook.add_format({"bold": True, "font_color": "white", "bg_color": "#1F4E78"})
    page.write_row(TITLE_LINES, 0, HEADERS, header)
    for number, name in enumerate(HEADERS):
        page.write_column(TITLE_LINES + 1, number, sample.sheet[name])
    # An error cell is the result of a formula, as a failed look-up leaves it.
    for row, column in np.argwhere(sample.sheet.to_numpy() == "#N/A").tolist():
        page.write_formula(TITLE_LINES + 1 + row, column, "=NA()", None, "#N/A")

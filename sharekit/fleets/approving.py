"""One approval for all parts of a fleet, written into each so that the part alone proves it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from sharekit.core.errors import ApprovalError
from sharekit.core.monitoring.progress import report
from sharekit.ledger import signatures
from sharekit.ledger.ledger import Ledger
from sharekit.plans.approval import (
    MIN_FINGERPRINT_DIGITS,
    approver,
    check_approvable,
    write_approval,
)
from sharekit.plans.plan import read_plan

from .planning import plans_body
from .storage import Part, StoredFleet, open_fleet, open_part, read_fleet, read_part, root_of


def approve_fleet(
    folder: Path, *, reviewer: str, fingerprint: str, note: str = "",
    sign: str | PathLike[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Approve the plans of all parts, by the fingerprint of the fleet as it is now.

    The approval is written into the fleet's ledger first, then into each part that has none of
    this reviewer. A call that was interrupted is completed by the same call; parts whose plan has
    changed since are approved by another one, of the new fingerprint.
    """
    given, name = str(fingerprint).strip().lower(), approver(reviewer)
    if len(given) < MIN_FINGERPRINT_DIGITS:
        raise ApprovalError(
            f"Nothing is approved: name at least {MIN_FINGERPRINT_DIGITS} digits of the fleet's "
            "fingerprint, once you have looked at its parts."
        )
    fleet = read_fleet(folder)
    if not fleet.fingerprint.startswith(given):
        raise ApprovalError(
            f"{folder}: the fleet's fingerprint is {fleet.fingerprint[:12]}…, not {given[:12]}. "
            "Look at its parts again before you approve them."
        )
    parts = [part for part in fleet.parts if not (part.sends_nothing or part.finished)]
    if not parts:
        raise ApprovalError(f"{folder}: no part has anything left to send, so none is approved.")
    for number, part in enumerate(parts, 1):
        report("checking the parts", number, len(parts))
        with open_part(folder, part.to_body()) as ledger:
            check_approvable(ledger, read_plan(ledger), name)
    body = _approve(fleet, name, note, sign)
    paths = root_of(fleet.parts)[1]
    lacking = [part for part in parts if not _has_approved(part, name, signed=sign is not None)]
    for number, part in enumerate(lacking, 1):
        report("approving the parts", number, len(lacking))
        with open_part(folder, part.to_body(), write=True) as ledger:
            _approve_part(ledger, part, {**body, "path": paths[part.planned]})
    return {**body, "approved": len(lacking)}


def _has_approved(part: Part, name: str, *, signed: bool) -> bool:
    return any(a.reviewer == name and (a.signature or not signed) for a in part.approvals)


def _approve(
    fleet: StoredFleet, name: str, note: str, sign: str | PathLike[str] | None
) -> dict[str, Any]:
    """Write the approval into the fleet's ledger, unless it is there; return its body."""
    with open_fleet(fleet.folder, write=True) as ledger:
        if fleet.plan.body["fingerprint"] != fleet.fingerprint:
            ledger.append("fleet_planned", {**fleet.plan.body, **plans_body(fleet.parts)})
        for event in ledger.list_events("fleet_approved"):
            one = event.body
            if (one["fingerprint"], one["reviewer"]) == (fleet.fingerprint, name) and (
                one.get("signature") or sign is None
            ):
                return one
        body: dict[str, Any] = {
            "reviewer": name, "fingerprint": fleet.fingerprint, "parts": len(fleet.parts),
            "images": sum(part.images for part in fleet.parts), "note": note,
            "after": ledger.head,
        }  # fmt: skip
        if sign is not None:
            body = signatures.sign(body, sign, signatures.FLEET)
        ledger.append("fleet_approved", body)
        return body


def _approve_part(ledger: Ledger, part: Part, fleet: dict[str, Any]) -> None:
    """Write the fleet's approval into a part that is still as it was looked at."""
    now = read_part(part.name, ledger)
    if now.planned != part.planned:
        raise ApprovalError(
            f"{ledger.path}: its plan has changed just now. Look at it again, then approve the "
            "fleet by its new fingerprint."
        )
    if _has_approved(now, fleet["reviewer"], signed="signature" in fleet):
        return
    write_approval(ledger, {
        "reviewer": fleet["reviewer"], "fingerprint": now.fingerprint, "note": fleet["note"],
        "images": now.images, "after": ledger.head, "fleet": fleet,
    })  # fmt: skip

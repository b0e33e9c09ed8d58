"""What a notebook shows of each value: small, escaped, and of use when it is only read."""

from __future__ import annotations

from collections.abc import Callable

import openpyxl

import sharekit
from tests.conftest import FAST, World

HOSTILE = "<img src=x onerror=alert(1)>"


def test_each_step_shows_itself_small_and_inert(world: Callable[..., World]) -> None:
    """Inventory, findings, plan, run and reports tell what matters, without markup from data."""
    scene = world(rows=80, faulty=0.3, faults="job_partial=0.2")
    book = openpyxl.load_workbook(scene.shares)
    sheet = book["Shares"]
    for cell in next(r for r in sheet.iter_rows() if r[0].value == "Image ID"):
        if cell.value in ("Image name", "Decision"):
            sheet.cell(cell.row + 2, cell.column, HOSTILE)
    book.save(scene.shares)
    clouds = scene.connect()
    inventory = sharekit.read_inventory(scene.shares)
    findings = sharekit.check(inventory, clouds)
    plan = sharekit.plan(findings, scene.folder / "run.ledger")
    sharekit.approve(plan, reviewer="Ada", fingerprint=plan.fingerprint)
    run = sharekit.submit(plan, clouds, settings=FAST)
    reports = sharekit.report(run, scene.folder / "audit.html")
    shown = {type(v).__name__: v._repr_html_() for v in (inventory, findings, plan, run, reports)}
    review = sharekit.review(plan.path)
    inside = (clouds, plan.findings.snapshot, sharekit.audit(None, clouds).survey, review,
              review.state.page(), sharekit.verify(plan.path))  # fmt: skip
    for value in (inventory, findings, plan, run, *inside):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 400
    for name, text in shown.items():
        assert "<img" not in text, name
        assert "color" not in text, name
        # Jupyter's MathJax leaves alone what has this class, so $x$ stays as it is.
        assert text.startswith('<div class="mathjax_ignore'), name
        assert len(text) < 20_000, name
    assert "status-unknown" in shown["Findings"]
    assert "&lt;img" in shown["Findings"]
    assert plan.fingerprint[:12] in shown["Plan"]
    assert "the cloud refused" in shown["Run"]
    assert "audit.html" in shown["Reports"]


def test_findings_by_rule_add_up(world: Callable[..., World]) -> None:
    """The counts by rule are all findings, errors first."""
    scene = world(rows=80, faulty=0.3)
    findings = sharekit.check(sharekit.read_inventory(scene.shares), scene.connect())
    assert findings.by_rule["cells"].sum() == len(findings.frame)
    assert findings.by_rule["severity"].iloc[0] == "error"

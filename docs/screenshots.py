"""``python -m docs.screenshots``: pictures of the panel and of a report, for the README."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import sharekit
from sharekit.audits.results import Audit
from sharekit.simulator import Simulator, start
from sharekit.simulator.faults import Faults
from sharekit.simulator.sample import build_sample, write_workbook
from tests.interfaces import browsing

PICTURES = Path(__file__).parent / "pictures"
_CELL = """import sharekit
clouds = sharekit.connect(config_file="clouds.yaml")
sharekit.review("run.ledger", clouds, reviewer="Bob")"""


def main() -> None:
    """Make a plan on a simulated cloud, show it in JupyterLab, send it, and show its report."""
    work, home = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    sample = build_sample(500)
    try:
        with start(sample.seed) as cloud:
            config = cloud.write_clouds_yaml(work / "clouds.yaml")
            clouds = sharekit.connect(config_file=config)
            shares = write_workbook(sample, work / "shares.xlsx")
            findings = sharekit.check(sharekit.read_inventory(shares), clouds)
            plan = sharekit.plan(findings, work / "run.ledger")
            _panel(work, home, plan)
            cloud.set_faults(Faults.parse("flow_control=0.1,p503=0.1,job_partial=0.02"))
            sharekit.approve(plan.path, reviewer="Ada", fingerprint=_last(plan.path))
            run = sharekit.submit(plan.path, clouds)
            _report(sharekit.report(run, work / "audit.html")[0], "audit.png")
            _compliance(work, cloud, sharekit.audit(findings.inventory, clouds))
    finally:
        shutil.rmtree(work)
        shutil.rmtree(home)


def _last(ledger: Path) -> str:
    return sharekit.review(ledger).replan().fingerprint


def _panel(work: Path, home: Path, plan: sharekit.Plan) -> None:
    browsing.write_notebook(work / "review.ipynb", _CELL)
    free = plan.rows.index[(plan.rows["disposition"] == "planned") & (plan.rows["row"] > 6)]
    with (
        browsing.browser() as chromium,
        browsing.lab(work, home) as url,
        browsing.window(chromium, width=1600, height=1000) as window,
    ):
        page = window.page
        browsing.open_notebook(page, url, "review.ipynb")
        panel = page.locator(".sharekit-panel")
        panel.locator("[data-row]").first.wait_for()
        for key, word in zip(free[[0, 3, 4]], ("Skip", "Reject", "Skip"), strict=True):
            panel.locator(f'[data-row="{key}"]').click()
            panel.get_by_role("button", name=f"{word} 1 row", exact=True).click()
            panel.locator(".sk-dialog").wait_for()  # it asks for the reason in another field
            panel.get_by_label("Reason", exact=True).fill("owner unclear")
            page.keyboard.press("Enter")
            panel.locator(f'[data-row="{key}"] .sk-decided').wait_for()
        panel.locator("[data-row]").nth(1).click()
        panel.get_by_text("1 selected").wait_for()
        page.mouse.move(0, 0)
        box = panel.bounding_box()
        if box is None:
            raise RuntimeError("the panel is not there")
        page.screenshot(path=PICTURES / "panel.png", clip=dict(box))  # type: ignore[arg-type]


def _compliance(work: Path, cloud: Simulator, first: Audit) -> None:
    """Let some shares drift, and show the page of the audit that finds them."""
    good = first.rows[first.rows["result"] == "agrees"].reset_index(drop=True)
    for number, share in good.iloc[:24].iterrows():
        other = next(p for p in good["project_id"].unique() if p != share["project_id"])
        status = "rejected" if share["observed"] == "accepted" else "accepted"
        to, then = ((share["project_id"], status), (share["project_id"], "absent"),
                    (other, "pending"))[int(str(number)) % 3]  # fmt: skip
        cloud.set_share(share["image_id"], to, then)
    clouds = sharekit.connect(config_file=work / "clouds.yaml")
    found = sharekit.audit(first.inventory, clouds, since=first)
    _report(sharekit.report(found, work / "compliance.html")[0], "compliance.png")


def _report(report: Path, name: str) -> None:
    with browsing.browser() as chromium:
        page = chromium.new_page(viewport={"width": 1180, "height": 1120})
        page.goto(report.as_uri())
        page.screenshot(path=PICTURES / name)


if __name__ == "__main__":
    main()

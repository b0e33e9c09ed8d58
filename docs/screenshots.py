"""``python -m docs.screenshots``: pictures of sheets, the panel, the app and reports, for the docs.

The sheets are shown by LibreOffice on a screen that is none, and need ``xvfb``, ``xdotool`` and
``imagemagick``, which ``apt-get`` installs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import openpyxl

import sharekit
from sharekit.audits.results import Audit
from sharekit.reports.report import write_findings
from sharekit.simulator import Simulator, start
from sharekit.simulator.faults import Faults
from sharekit.simulator.sample import build_sample, write_workbook
from sharekit.spreadsheets.writing.review_sheet import write_review
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
            offline = sharekit.check(findings.inventory)
            _sheet(write_findings(offline, work / "findings.xlsx"), "Shares", 88, (800, 314))
            rows = sharekit.review(plan.path).rows
            sheet = write_review(rows, work / "review.xlsx", fingerprint=plan.fingerprint)
            _sheet(sheet, "Review", 2, (900, 600))
            _app(work, home, config)
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


def _sheet(file: Path, name: str, first: int, hovered: tuple[int, int]) -> None:
    """Show a sheet from a row on in LibreOffice, with the mouse over a cell."""
    book = openpyxl.load_workbook(file)
    book.active = book.sheetnames.index(name)
    for sheet in book.worksheets:
        sheet.sheet_view.tabSelected = sheet.title == name
    pane = book[name].sheet_view.pane
    book[name].sheet_view.topLeftCell = "A1"
    pane.topLeftCell = f"{pane.topLeftCell.rstrip('0123456789')}{first}"
    book.save(file)
    home = file.with_suffix("")
    screen = subprocess.Popen(["Xvfb", ":77", "-screen", "0", "1500x760x24"])
    there = os.environ | {"DISPLAY": ":77", "SAL_USE_VCLPLUGIN": "gen", "HOME": str(file.parent)}
    time.sleep(1)
    office = subprocess.Popen(
        ["soffice", "--norestore", "--nologo", f"-env:UserInstallation={home.as_uri()}", file],
        env=there,
    )
    found = "search --sync --onlyvisible --name Calc windowmove 0 0 windowsize --sync 1500 760"
    subprocess.run(["xdotool", *found.split()], env=there, check=True)
    for step in (20, 10, 0):  # a comment is shown to a mouse that moves
        time.sleep(5)
        subprocess.run(
            ["xdotool", "mousemove", *(str(at + step) for at in hovered)], env=there, check=True
        )
    time.sleep(3)
    picture = str(PICTURES / f"{home.name}.png")
    subprocess.run(
        ["import", "-window", "root", "-crop", "1438x597+0+106", "+repage", picture],
        env=there,
        check=True,
    )
    for program in (office, screen):
        program.terminate()
        program.wait()


def _app(work: Path, home: Path, config: Path) -> None:
    folder = work / "runs"
    folder.mkdir()
    for name in ("shares.xlsx", "run.ledger"):
        shutil.copy(work / name, folder)
    with (
        browsing.browser() as chromium,
        browsing.app(folder, home / "app", config) as url,
        browsing.window(chromium, width=1180, height=900) as window,
    ):
        window.page.goto(url)
        start = window.page.locator(".sharekit-panel")
        start.get_by_label("In the folder").select_option("shares.xlsx")
        start.get_by_role("button", name="All").click()
        start.get_by_label("Your name").fill("Ada")
        window.page.mouse.move(0, 0)
        start.screenshot(path=PICTURES / "app.png")


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

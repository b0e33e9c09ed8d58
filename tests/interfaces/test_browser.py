"""The panel in a real browser, through JupyterLab and Voila, without a step outside loopback."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

import sharekit
from sharekit.interfaces.notebook.panel import Panel
from sharekit.interfaces.review import Review
from tests.conftest import World
from tests.interfaces import browsing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
Make = Callable[..., World]
HOSTILE = (
    '<img src="http://example.org/x" onerror="document.title=\'run\'">', "$x^2$ <script>1</script>",
    "invoice\u202egpj.exe", "long " * 2000,
)  # fmt: skip
_SLOW = "sharekit.Settings(concurrency=1, min_poll_interval=0.05, read_back_delay=0.1)"


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    with browsing.browser() as made:
        yield made


def prepared(world: Make, rows: int, faults: str = "") -> World:
    """A plan of one image for each request, with hostile names, beside a notebook to review it."""
    scene = world(rows=rows)
    sheet = openpyxl.load_workbook(scene.shares)["Shares"]
    head = next(c for row in sheet.iter_rows(max_row=12) for c in row if c.value == "Image ID")
    names = {
        sheet.cell(head.row + offset, head.column).value: name
        for offset, name in enumerate(HOSTILE, 1)
    }  # the panel shows the names that the cloud shows
    seed = scene.sample.seed
    images = tuple(replace(image, name=names.get(image.id, image.name)) for image in seed.images)
    scene.cloud.reset(replace(seed, images=images), job_seconds=0.02)
    scene.plan(chunk_size=1)
    scene.cloud.set_faults(sharekit_faults(faults))
    browsing.write_notebook(
        scene.folder / "review.ipynb",
        "import os, sharekit\nfrom pathlib import Path\n"
        "Path('pid').write_text(str(os.getpid()))\n"
        f"clouds = sharekit.connect(*{scene.names!r}, config_file='clouds.yaml')",
        f"sharekit.review('run.ledger', clouds, reviewer='Bob', settings={_SLOW})",
        "free = 6 * 7",
    )
    return scene


def sharekit_faults(text: str) -> object:
    """Faults by their text."""
    from sharekit.simulator.faults import Faults

    return Faults.parse(text)


def panel_of(page: Page) -> Locator:
    """The panel, once it is there."""
    panel = page.locator(".sharekit-panel")
    panel.wait_for()
    return panel


def button(panel: Locator, name: str) -> Locator:
    """A button by its whole name."""
    return panel.get_by_role("button", name=name, exact=True)


def approve(panel: Locator, path: Path) -> None:
    """Approve by mouse."""
    button(panel, "3 Approve").click()
    panel.get_by_text("Approve exactly this plan").wait_for()
    panel.get_by_label("Your name").fill("Ada")
    panel.get_by_label("Confirmation").fill(Review(path).state.phrase)
    button(panel, "Approve").click()
    panel.get_by_text("Nothing is sent yet").wait_for()


def send_and_cancel(panel: Locator, path: Path) -> None:
    """Begin the run, cancel it under way, and see that it has ended with rows left over."""
    button(panel, "Send").click()
    panel.get_by_text(re.compile(r"^[1-9]\d* of 59 images done")).wait_for()
    button(panel, "Cancel").click()
    expect(button(panel, "Continue")).to_be_enabled()
    stopped = sharekit.status(path)
    assert not stopped.finished
    assert stopped.counts["pending"]


def write_reports(page: Page, panel: Locator) -> None:
    """Write the reports; the page saves one of them."""
    button(panel, "Write reports").click()
    line = panel.locator("li", has_text="audit.html")
    with page.expect_download() as saved:
        button(line, "Save a copy").click()
    assert saved.value.path().read_bytes().startswith(b"<!doctype html>")


def serious(page: Page, within: str | None = ".sharekit-panel") -> list[str]:
    """What axe finds in the panel, or on the whole page, that is serious or worse."""
    found = Axe().run(page, context=within).response["violations"]
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def rows_of(panel: Locator) -> Locator:
    """The rows of the grid that are in sight, once they are there."""
    rows = panel.locator(".sk-line[data-row]")
    rows.first.wait_for()
    return rows


def skip(panel: Locator, row: Locator) -> int:
    """Select one row and skip it, for a reason that is asked beside the button; return its key."""
    key = int(str(row.get_attribute("data-row")))
    row.click()
    button(panel, "Skip 1 row").click()
    reason = panel.get_by_label("Reason", exact=True)
    expect(reason).to_be_focused()
    reason.fill("owner unclear")
    reason.press("Enter")
    panel.get_by_text("written into the ledger").wait_for()
    return key


def shortcuts_are_quiet(page: Page, panel: Locator) -> None:
    """Keys that add, turn or run cells do nothing of it while the grid has the focus."""
    panel.get_by_role("grid").focus()
    for key in ("b", "m", "y", "Shift+Enter"):
        page.keyboard.press(key)
    assert page.locator(".jp-Notebook .jp-CodeCell").count() == 3


def shares_twice(scene: World) -> set[int]:
    """How often shares were changed, as the cloud counts it."""
    return set(scene.changed().values()) - {0, 1}


def arrange(panel: Locator) -> None:
    """Filter a column by one of its values, group by it, and take both back."""
    panel.get_by_label("Filter and arrange Decision").click()
    panel.get_by_role("checkbox", name=re.compile("^skip")).check()
    button(panel, "Show the chosen values").click()
    panel.get_by_text("1 of 60 rows shown").wait_for()
    button(panel, "Clear filters").click()
    panel.get_by_label("Filter and arrange Decision").click()
    button(panel, "Group by it").click()
    panel.get_by_text("skip: 1 row").wait_for()
    button(panel, "Grouped by Decision ✕").click()
    rows_of(panel)


def test_by_mouse(world: Make, chromium: Browser, tmp_path: Path) -> None:
    """Decide, preview, approve, send, cancel and continue in JupyterLab; hostile values are inert;
    axe finds nothing serious on any page; nothing leaves this machine."""  # noqa: D205, D209
    scene = prepared(world, 60, "latency=0.05")
    path = scene.folder / "run.ledger"
    with (
        browsing.lab(scene.folder, tmp_path / "home") as url,
        browsing.window(chromium) as window,
    ):
        page = window.page
        browsing.open_notebook(page, url, "review.ipynb")
        panel = panel_of(page)
        rows = rows_of(panel)
        assert rows.count() < 60
        expect(panel.locator("img, script")).to_have_count(0)
        expect(panel.get_by_text("[U+202E]")).to_have_count(1)
        assert page.title() != "run"
        found = serious(page)
        shortcuts_are_quiet(page, panel)
        key = skip(panel, rows.nth(1))
        expect(panel.locator(f'[data-row="{key}"]').get_by_text("skip", exact=True)).to_be_visible()
        arrange(panel)
        rows.nth(3).dblclick()
        panel.get_by_role("region", name="Details of the row").wait_for()
        found += serious(page)
        button(panel, "2 Requests").click()
        panel.get_by_text("Exactly what will be sent").wait_for()
        found += serious(page)
        approve(panel, path)
        found += serious(page)
        send_and_cancel(panel, path)
        found += serious(page)
        button(panel, "Continue").click()
        panel.get_by_text("The run is finished").wait_for()
        write_reports(page, panel)
        found += serious(page)
        assert found == []
        assert window.strayed == []
    run = sharekit.status(path)
    assert run.rows.at[key, "outcome"] == "skipped"
    assert shares_twice(scene) == set()
    assert sharekit.verify(path).intact


def test_by_keyboard(world: Make, chromium: Browser, tmp_path: Path) -> None:
    """The whole review without a mouse, in Notebook 7 and its dark theme; the notebook's own
    shortcuts stay quiet; axe finds nothing serious."""  # noqa: D205, D209
    scene = prepared(world, 12)
    path = scene.folder / "run.ledger"
    with (
        browsing.lab(scene.folder, tmp_path / "home", dark=True, seven=True) as url,
        browsing.window(chromium, dark=True, width=800) as window,
    ):
        page = window.page
        browsing.open_notebook(page, url, "review.ipynb", seven=True)
        panel = panel_of(page)
        rows_of(panel)
        cells = page.locator(".jp-Notebook .jp-Cell").count()
        button(panel, "1 Review").focus()
        keys = page.keyboard
        tab_to(page, "div", "Rows of the plan")
        for key in ("d", "d", "b", "x", "m", "y"):
            keys.press(key)
        assert page.locator(".jp-Notebook .jp-Cell").count() == cells
        assert page.locator(".jp-Notebook .jp-CodeCell").count() == cells
        keys.press("ArrowDown")
        keys.press("Space")
        panel.get_by_text("1 selected").wait_for()
        keys.press("?")
        panel.get_by_role("region", name="Keys", exact=True).wait_for()
        keys.press("s")
        expect(panel.get_by_label("Reason", exact=True)).to_be_focused()
        keys.type("owner unclear")
        keys.press("Enter")
        panel.get_by_text("written into the ledger").wait_for()
        found = serious(page)
        tab_to(page, "button", "3 Approve", back=True)
        keys.press("Enter")
        panel.get_by_text("Approve exactly this plan").wait_for()
        tab_to(page, "input", "Confirmation")
        keys.type(Review(path).state.phrase)
        tab_to(page, "button", "Approve")
        keys.press("Space")
        panel.get_by_text("Nothing is sent yet").wait_for()
        tab_to(page, "button", "Send")
        keys.press("Enter")
        panel.get_by_text("The run is finished").wait_for()
        assert found + serious(page) == []
        assert window.strayed == []
    assert sharekit.status(path).counts["skipped"] == 1


def tab_to(page: Page, tag: str, label: str, *, back: bool = False) -> None:
    """Press Tab until the focus is on a control with this name; it must be on the way."""
    told = """() => { const e = document.activeElement;
      const l = e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent || '';
      return [e.tagName.toLowerCase(), l.trim()]; }"""
    for _ in range(160):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        name, text = page.evaluate(told)
        if name == tag and text.startswith(label) and (tag != "button" or text == label):
            return
    raise AssertionError(f"no {tag} {label!r} can be reached by Tab")


def test_reload_and_a_killed_kernel(world: Make, chromium: Browser, tmp_path: Path) -> None:
    """A page loaded anew in mid-run shows the run; after the kernel is killed, Continue takes it up
    where the ledger stands, and no share is changed twice."""  # noqa: D205, D209
    scene = prepared(world, 30, "latency=0.5")  # longer than a page takes to load anew
    path = scene.folder / "run.ledger"
    going = re.compile(r"^[1-9]\d* of 30 images done")
    with (
        browsing.lab(scene.folder, tmp_path / "home") as url,
        browsing.window(chromium) as window,
    ):
        page = window.page
        browsing.open_notebook(page, url, "review.ipynb")
        approve(panel_of(page), path)
        button(panel_of(page), "Send").click()
        panel_of(page).get_by_text(going).wait_for()
        page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
        page.reload()
        panel = panel_of(page)
        panel.get_by_text(going).wait_for()
        expect(button(panel, "Pause")).to_be_enabled()
        button(panel, "Pause").click()
        panel.get_by_text("Paused").wait_for()
        os.kill(int((scene.folder / "pid").read_text()), signal.SIGKILL)
        assert not sharekit.status(path).finished
        scene.cloud.set_faults(sharekit_faults(""))
        page.goto("about:blank")
        browsing.open_notebook(page, url, "review.ipynb")
        panel = panel_of(page)
        button(panel, "Continue").click()
        panel.get_by_text("The run is finished").wait_for()
        assert window.strayed == []
    run = sharekit.status(path)
    assert run.counts["confirmed"] == 30
    assert shares_twice(scene) == set()
    assert sharekit.verify(path).intact


def test_voila(world: Make, chromium: Browser, tmp_path: Path) -> None:
    """As an application without code: the review goes to its end; what a second window on the same
    ledger decides is shown by the first one at its next step."""  # noqa: D205, D209
    scene = prepared(world, 12)
    path = scene.folder / "run.ledger"
    with (
        browsing.voila(scene.folder / "review.ipynb", tmp_path / "home") as url,
        browsing.window(chromium, width=800) as window,
    ):
        page = window.page
        page.goto(url)
        panel = panel_of(page)
        rows_of(panel)
        with browsing.window(chromium) as second:
            second.page.goto(url)
            other = panel_of(second.page)
            skip(other, rows_of(other).first)
            assert second.strayed == []
        button(panel, "1 Review").click()
        panel.get_by_text("changed elsewhere").wait_for()
        rows_of(panel).first.get_by_text("owner unclear").wait_for()
        found = serious(page)
        button(panel, "2 Requests").click()
        panel.get_by_text("The plan holds every decision").wait_for()
        approve(panel, path)
        button(panel, "Send").click()
        panel.get_by_text("The run is finished").wait_for()
        assert found == []
        assert window.strayed == []
    run = sharekit.status(path)
    assert run.finished
    assert run.counts["skipped"] == 1


def test_two_panels_on_one_page(world: Make, chromium: Browser) -> None:
    """No ID is there twice; letters decide inside the grid alone; ticks stay in sight beside
    rows that are scrolled; a head is dragged wider; VS Code's colours are taken where told."""  # noqa: D205, D209
    path = world(rows=12).planned().path
    with browsing.window(chromium, width=800) as window:
        page = window.page
        style = "--vscode-editor-background: #010203; --vscode-editor-foreground: #fafafa"
        browsing.show_bare(page, *(Panel(Review(path, reviewer="Bob")) for _ in range(2)),
                           style=style)  # fmt: skip
        panel = page.locator(".sharekit-panel").first
        rows = rows_of(panel)
        rows_of(page.locator(".sharekit-panel").last)
        ids = page.eval_on_selector_all("[id]", "all => all.map(one => one.id)")
        assert len(ids) == len(set(ids)) > 20
        expect(panel).to_have_css("background-color", "rgb(1, 2, 3)")
        panel.get_by_label("Search").focus()
        page.keyboard.type("arsu")
        panel.get_by_label("Search").fill("")
        for label in ("1 Review", "Vaults", "Filter and arrange Image"):
            panel.get_by_label(label).or_(button(panel, label)).first.focus()
            page.keyboard.type("arsu")
        expect(panel.locator(".sk-dialog")).to_have_count(0)
        assert Review(path).changes.empty
        grid = panel.get_by_role("grid")
        grid.focus()
        page.keyboard.press("s")
        expect(panel.get_by_label("Reason", exact=True)).to_be_focused()
        grid.evaluate("grid => { grid.scrollLeft = 400; }")
        tick, edge = rows.first.locator(".sk-first").bounding_box(), grid.bounding_box()
        assert tick
        assert edge
        assert tick["x"] - edge["x"] < 3
        head = panel.locator(".sk-head .sk-cell").nth(5)
        wide = head.bounding_box()
        assert wide
        page.mouse.move(wide["x"] + wide["width"] - 3, wide["y"] + 8)
        page.mouse.down()
        page.mouse.move(wide["x"] + wide["width"] + 37, wide["y"] + 8, steps=4)
        page.mouse.up()
        expect(head).to_have_css("width", f"{wide['width'] + 40:g}px")


def test_app(world: Make, chromium: Browser, tmp_path: Path) -> None:
    """From the token to a workbook that is dropped, the sign-in, the plan, the panel, approval,
    sending and the report, and back to the start; no page has a serious violation."""  # noqa: D205, D209
    scene = world(rows=12)
    runs = tmp_path / "runs"
    runs.mkdir()
    with (
        browsing.app(runs, tmp_path / "home", scene.config) as url,
        browsing.window(chromium, dark=True) as window,
    ):
        page = window.page
        address, _, token = url.partition("?token=")
        page.goto(address)
        found = serious(page, None)
        page.get_by_label("Token").fill(token)
        page.get_by_label("Token").press("Enter")
        panel = panel_of(page)
        assert token not in page.url
        drop(page, panel, scene.shares)
        panel.get_by_text("shares.xlsx is in the folder, and chosen").wait_for()
        button(panel, "All").press("Enter")
        button(panel, "Test the sign-in").press("Enter")
        panel.get_by_text("sign-ins worked").wait_for()
        found += serious(page, None)
        button(panel, "New run").click()
        rows_of(panel)
        approve(panel, runs / "shares.ledger")
        button(panel, "Send").click()
        panel.get_by_text("The run is finished").wait_for()
        write_reports(page, panel)
        button(panel, "Back to the start").click()
        panel.get_by_text("finished:").wait_for()
        found += serious(page, None)
        assert found == []
        assert window.strayed == []
    assert sharekit.verify(runs / "shares.ledger", runs / "shares-audit.html").intact


def drop(page: Page, panel: Locator, path: Path) -> None:
    """Drop a file on the field for it, as from a desktop."""
    carried = page.evaluate_handle(
        """([name, bytes]) => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(bytes)], name));
          return carried;
        }""",
        [path.name, list(path.read_bytes())],
    )
    panel.locator(".sk-drop").dispatch_event("drop", {"dataTransfer": carried})

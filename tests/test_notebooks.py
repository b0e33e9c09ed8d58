"""The notebooks run as they stand, and are kept clean."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sharekit
from sharekit.audits import storage
from sharekit.ledger.ledger import Ledger
from sharekit.plans.plan import read_plan as load_plan
from sharekit.simulator.faults import Faults
from tests.conftest import World

if TYPE_CHECKING:  # importing it takes a second, which other tests need not wait for
    from nbclient import NotebookClient

ROOT = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(ROOT.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_clean(path: Path) -> None:
    """In git a notebook has no outputs, no functions, short cells, and one cell of parameters."""
    book = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells)
    assert all("def " not in "".join(cell["source"]) for cell in cells)
    assert all(len("".join(cell["source"]).splitlines()) <= 8 for cell in cells)
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in cells) == 1
    assert "widgets" not in book["metadata"]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a notebook, with a kernel of this very Python."""
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    made = tmp_path / "work"
    made.mkdir()
    return made


def opened(name: str, work: Path, **parameters: str) -> NotebookClient:
    """A notebook, with parameters where papermill puts them: in a cell after the one tagged so."""
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(ROOT / name, as_version=4)
    if parameters:
        tags = [cell.metadata.get("tags", []) for cell in book.cells]
        given = "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
        at = next(i for i, tag in enumerate(tags) if "parameters" in tag)
        book.cells.insert(at + 1, nbformat.v4.new_code_cell(given))
    return NotebookClient(book, timeout=120, resources={"metadata": {"path": str(work)}})


def run(name: str, work: Path, **parameters: str) -> list[str]:
    """Run every cell of a notebook; returns what it shows as HTML."""
    client = opened(name, work, **parameters)
    client.execute()
    return [
        output.data.get("text/html", "")
        for cell in client.nb.cells
        for output in cell.get("outputs", [])
        if output.output_type in ("execute_result", "display_data")
    ]


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.slow
def test_first_run(work: Path) -> None:
    """The first notebook goes the whole road and shows its steps as tables."""
    shown = run("01-first-run.ipynb", work)
    assert (work / "audit.html").is_file()
    assert sum("<table" in html for html in shown) >= 4


@pytest.mark.slow
def test_without_a_person_the_bulk_notebook_sends_nothing(work: Path) -> None:
    """Run without anybody, it shows the summary and the gate; the next notebook stops there; run
    again it takes the same ledger up, and once it is approved and sent the next one goes on."""  # noqa: D205, D209
    shown = run("02-bulk-accept-from-excel.ipynb", work)
    assert any("nobody has approved this plan" in html for html in shown)
    with Ledger.open(work / "bulk.ledger") as book:
        assert book.last_event("intent") is None
        first = book.head
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match="the plan is not approved, so nothing is sent"):
        run("04-after-the-run.ipynb", work)
    assert run("02-bulk-accept-from-excel.ipynb", work)
    with Ledger.open(work / "bulk.ledger") as book:
        assert book.head == first


@pytest.mark.slow
def test_after_the_run(work: Path) -> None:
    """The reports are there and intact, and the rows that failed stand in a workbook."""
    shown = run("04-after-the-run.ipynb", work)
    run_ = sharekit.status(work / "bulk.ledger")
    again = sharekit.read_inventory(work / "retry.xlsx")
    assert len(again) == run_.counts["failed"] + run_.counts["contradicted"]
    assert sharekit.verify(work / "bulk.ledger", work / "audit.xlsx", work / "audit.html").intact
    assert sum("<table" in html for html in shown) >= 3


@pytest.mark.slow
def test_compliance_audit(work: Path) -> None:
    """Two audits, what changed between them, reports that are those of the ledger, a listing."""
    shown = run("03-compliance-audit.ipynb", work)
    assert sharekit.verify(work / "after.ledger", work / "compliance.xlsx").intact
    changes = storage.load(work / "after.ledger").changes
    assert set(changes["change"]) == {"newly-shared", "gone", "decided"}
    assert len(changes) == 3
    assert (work / "inventory.xlsx").is_file()
    assert sum("<table" in html for html in shown) >= 4


@pytest.mark.slow
def test_on_a_cloud_of_ones_own(world: Callable[..., World], work: Path) -> None:
    """With only the parameters changed every notebook works on a cloud that it did not start: the
    first stops at the gate until a fingerprint is named, then sends; the last offers the retry."""  # noqa: D205, D209
    from nbclient.exceptions import CellExecutionError
    from nbformat.v4 import new_code_cell

    scene = world(rows=40)
    (scene.folder / "clouds.yaml").rename(work / "mine.yaml")
    (work / "clouds.yaml").write_text("clouds: {another: {}}")
    own = {"shares": str(scene.shares), "config_file": "mine.yaml", "ledger": "bulk.ledger"}
    client = opened("01-first-run.ipynb", work, **own)
    with client.setup_kernel():
        cells = client.nb.cells
        gate = next(i for i, cell in enumerate(cells) if "sharekit.approve(" in cell.source)
        for at, cell in enumerate(cells[:gate]):
            client.execute_cell(cell, at)
        with pytest.raises(CellExecutionError, match="Nothing is approved"):
            client.execute_cell(cells[gate], gate)
        assert not scene.changed_shares()
        mark = load_plan(work / "bulk.ledger").fingerprint[:12]
        given = new_code_cell(f"fingerprint = {mark!r}")
        scene.cloud.set_faults(Faults.parse("job_partial=0.3"))
        cells.insert(gate, given)
        for at, cell in list(enumerate(cells))[gate:]:
            client.execute_cell(cell, at)
    assert scene.changed_shares()
    audits = {"shares": str(scene.shares), "config_file": "mine.yaml"}
    run("03-compliance-audit.ipynb", work, **audits)
    once = sharekit.status(work / "bulk.ledger").counts["failed"]
    assert once
    run("04-after-the-run.ipynb", work, config_file="mine.yaml")
    assert load_plan(work / "again.ledger").counts["planned"] == once
    assert (work / "clouds.yaml").read_text() == "clouds: {another: {}}"
    assert not (work / "simulator.yaml").exists()


def older_pandas() -> str:
    """The folder where .ci/tools puts pandas 2.3; without it the test is skipped, but in CI."""
    folder = ROOT.parent / ".pandas-2.3"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("pandas 2.3 is not installed, and with CI=true it must be: .ci/tools")
        pytest.skip("pandas 2.3 is not installed: .ci/tools")
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3", "2.3"])
def test_in_pandas(version: str, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a query to outcomes joined back: each row is as its policy says; run again, the same."""
    if version == "2.3":
        paths = [older_pandas(), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    shown = run("05-in-pandas.ipynb", work)
    with Ledger.open(work / "pandas.ledger") as book:
        assert book.last_event("created").body["pandas"].startswith(version)
    done = sharekit.status(work / "pandas.ledger")
    frame = done.to_frame()
    assert done.finished
    assert set(frame["policy"].dropna()) == {"trusted publishers", "other publishers"}
    confirmed = frame[frame["outcome"] == "confirmed"]
    assert len(confirmed) > 100
    wanted = confirmed["policy"].map(
        {"trusted publishers": "accepted", "other publishers": "rejected"}
    )
    assert (confirmed["observed"].astype(str) == wanted.astype(str)).all()
    assert sharekit.verify(work / "pandas.ledger", work / "pandas.xlsx").intact
    assert sum("<table" in html for html in shown) >= 6
    assert run("05-in-pandas.ipynb", work)
    assert sharekit.status(work / "pandas.ledger").to_frame().equals(frame)

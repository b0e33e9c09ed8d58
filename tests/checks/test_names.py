"""What images and projects are called: told by somebody, marked by whom, and never guessed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

import sharekit
from sharekit.checks.names import project_labels, project_names
from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.fields import NAMES
from sharekit.core.frame_schemas import MEMBERS, PROJECTS, VAULTS
from sharekit.interfaces.review_filters import RowFilter, select
from tests.reports.forger import Forger

IMAGE, OTHER = "5a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e", "6a7c7d2e-1bc3-4c3f-893e-3f4716e5e65e"
WEB, DATA, SHOP = "1a" * 16, "2b" * 16, "3c" * 16
SAMPLES = Path(__file__).parents[1] / "ledger" / "samples"


def snapshot(*names: tuple[str, str, str]) -> Snapshot:
    """A snapshot of projects with their names, and of one image in the first of them."""
    projects = PROJECTS.make_frame(
        dict.fromkeys(PROJECTS.names, "") | {"project_id": p, "name": name, "name_source": source}
        for p, name, source in names
    )
    member = (WEB, IMAGE, "pending", "f" * 32, "golden", "false", 0, "")
    members = MEMBERS.make_frame([member])
    return Snapshot("2026-01-01T00:00:00Z", members, VAULTS.make_frame(), projects)


def checked(frame: pd.DataFrame, seen: Snapshot | None = None) -> pd.DataFrame:
    """The rows of an inventory as its findings hand them out."""
    inventory = sharekit.read_inventory(frame)
    return sharekit.check(inventory, snapshot=seen).to_frame()[list(NAMES)].astype("object")


def test_what_the_cloud_shows_goes_before_the_input() -> None:
    """Name and owner are the cloud's, else the input's, each marked; else it is missing."""
    frame = pd.DataFrame({
        "image_id": [IMAGE, OTHER, OTHER], "project_id": [WEB, WEB, DATA], "status": "accepted",
        "image name": ["claimed", "other", None],
    })  # fmt: skip
    rows = checked(frame, snapshot((WEB, "web", "sign-in"), (DATA, "", "")))
    assert rows.fillna("-").to_numpy().tolist() == [
        ["golden", "cloud", "f" * 32, "cloud", "web", "sign-in"],
        ["other", "inventory", "-", "-", "web", "sign-in"],
        ["-", "-", "-", "-", "-", "-"],
    ]


@pytest.mark.parametrize("header", ["Project name", "project_name", "Projektname", "nom du projet"])
def test_a_column_of_the_input_names_projects(header: str) -> None:
    """A column of names counts where it gives a project one name; of two, neither is taken."""
    ids = [WEB, WEB, DATA, DATA, SHOP]
    names = ["web", " web", "data", "Data", None]
    frame = pd.DataFrame(
        {"image_id": IMAGE, "project_id": ids, "status": "accepted", header: names}
    )
    rows = checked(frame)
    assert rows["project_name"].fillna("-").tolist() == ["web", "web", "-", "-", "-"]
    assert rows["project_name_source"].fillna("-").tolist() == ["inventory"] * 2 + ["-"] * 3


def test_the_most_reliable_source_names_a_project() -> None:
    """A sign-in goes before clouds.yaml, that before the input, that before an entry's own name."""
    seen = snapshot((WEB, "a", "sign-in"), (DATA, "b", "clouds.yaml"),
                    (SHOP, "c", "entry in clouds.yaml"))  # fmt: skip
    ids = pd.Series([WEB, DATA, SHOP])
    own = pd.DataFrame({"input.Project name": ["x", "y", "z"]})
    told = project_names(own, ids, seen)
    assert told.loc[ids, "name"].tolist() == ["a", "b", "z"]
    assert told.loc[ids, "name_source"].tolist() == ["sign-in", "clouds.yaml", "inventory"]
    assert project_names(own[[]], ids, seen).loc[SHOP, "name"] == "c"


def test_a_name_is_cut_made_visible_and_told_from_its_double() -> None:
    """In narrow tables long names are cut, and names that look the same have IDs behind them."""
    names = ["Web", "web", "x" * 99, "a\u202eb"]
    ids = [WEB, DATA, SHOP, "4d" * 16]
    labels = project_labels(pd.DataFrame({"project_id": ids, "project_name": names}))
    assert list(labels.values()) == [
        "Web (1a1a1a1a…)", "web (2b2b2b2b…)", "x" * 39 + "…", "a[U+202E]b",
    ]  # fmt: skip


def test_rows_are_found_by_the_name_of_their_project() -> None:
    """The panel's filter takes a project's ID or name, and its search looks into names."""
    rows = pd.DataFrame({"project_id": [WEB, DATA, WEB], "project_name": ["web", "", "web"]})
    for project in (WEB, "web"):
        assert select(rows, RowFilter(project=project)).tolist() == [0, 2]


def test_clouds_yaml_names_the_project_of_an_access_key(tmp_path: Path) -> None:
    """Where nobody signs in, project_name of the entry counts, else the entry's name, marked so."""
    key = {"ak": "A" * 20, "sk": "s3cr3t" * 7, "region_name": "eu-de"}
    hosts = {f"{name}_endpoint_override": "http://127.0.0.1:9" for name in ("image", "ims", "cbr")}
    entries = {
        "first": {"auth": {"project_id": WEB, "project_name": "web\u202e"}, **key, **hosts},
        "second": {"auth": {"project_id": DATA}, **key, **hosts},
    }
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": entries}))
    clouds = sharekit.connect(config_file=path)
    assert clouds.project_name(WEB) == ("web[U+202E]", "clouds.yaml")
    assert clouds.restricted_to([DATA]).project_name(DATA) == ("second", "entry in clouds.yaml")
    assert clouds.project_name(SHOP) == ("", "")


def test_an_older_ledger_shows_the_names_of_then(tmp_path: Path) -> None:
    """A ledger that holds no names of projects shows none, whatever is known today."""
    forger = Forger.read(Path(shutil.copy(SAMPLES / "every-outcome.ledger", tmp_path)))
    for kind in ("snapshot_taken", "preflight_snapshot"):
        for line in forger.all(kind):
            forger.change(
                line, lambda frame: frame.drop(columns=["name", "name_source"]), "projects_blob"
            )
    rows = sharekit.status(forger.write()).to_frame()
    assert rows[["project_name", "project_name_source"]].isna().all(axis=None)
    assert rows.loc[rows["name_source"] == "cloud", "name"].notna().all()

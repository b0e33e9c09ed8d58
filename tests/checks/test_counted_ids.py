"""IDs that somebody dragged down in a spreadsheet: errors, unless a cloud shows them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

import sharekit
from sharekit.core.columns import STR
from sharekit.core.errors import UsageError
from sharekit.interfaces.cli.main import main
from sharekit.ledger.ledger import Ledger
from sharekit.plans.plan import read_plan
from sharekit.reports.run_record import read_record
from sharekit.simulator.process import start
from sharekit.simulator.seed import Image, Project, Seed, Share, User
from tests.spreadsheets.workbooks import by_csv

HEADER = ["image_id", "project_id", "status", "vault_id", "owner"]
DRAWN = random.Random(14)
OWNER = f"{DRAWN.getrandbits(128):032x}"


def project() -> str:
    """A project ID as clouds draw them."""
    return f"{DRAWN.getrandbits(128):032x}"


def image() -> str:
    """An image ID as clouds draw them."""
    digits = project()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def counted(rows: Sequence[Sequence[str]], path: Path, **options: object) -> list[str]:
    """The cells of a csv with these rows that were counted up."""
    inventory = sharekit.read_inventory(by_csv(path / "a.csv", [HEADER, *rows]))
    frame = sharekit.check(inventory, **options).frame  # type: ignore[arg-type]  # of check()
    return frame.loc[frame["rule"] == "counted-up", "cell"].tolist()


def exit_code(*arguments: str) -> int:
    """How a command ends."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def of_projects(*projects: str) -> list[list[str]]:
    """An owner's rows for these projects."""
    return [[image(), one, "share", "", OWNER] for one in projects]


@pytest.mark.parametrize(
    ("endings", "expected"),
    [
        (["24", "25", "26", "27"], "345"),
        (["27", "26", "25"], "34"),
        (["99", "a1", "a2"], "4"),
        (["098", "099", "100"], "34"),
        (["0999", "1000"], "3"),
        (["24", "24", "25", "25"], "45"),
        (["24", "25", "27"], "34"),
        (["25", "24", "26"], "234"),
        (["2a", "2b", "2c"], "34"),
        (["29", "2a", "2b"], "34"),
        (["2a", "2b"], ""),
        (["24", "26"], ""),
        (["24", "34"], ""),
        (["10", "20", "30"], "34"),
        (["90", "80", "70", "60"], "345"),
        (["100", "350", "600"], "34"),
        (["1a", "2a", "3a"], "34"),
        (["10", "20", "31"], ""),
    ],
)
def test_steps_in_the_last_digits(tmp_path: Path, endings: list[str], expected: str) -> None:
    """From the second one on, up or down, with a carry; if the order was lost, none is trusted."""
    stem = f"{project()[:27]}ccccc"
    stems = [stem[: 32 - len(ending)] for ending in endings]
    rows = of_projects(*(s + ending for s, ending in zip(stems, endings, strict=True)))
    assert counted(rows, tmp_path) == [f"B{row}" for row in expected]


def test_all_ids_of_a_row_and_wherever_they_were_dragged(tmp_path: Path) -> None:
    """Image and vault IDs count like projects; down, across, with rows or other series between."""
    one, vault, here, there = (text[:-3] for text in (image(), image(), project(), project()))
    rows = [[f"{one}01{n}", f"{here}321", "accepted", f"{vault}30{9 - n}", ""] for n in range(3)]
    assert counted(rows, tmp_path) == ["A3", "D3", "A4", "D4"]
    cycle = of_projects(*(f"{stem}{n}" for n in (501, 502, 503) for stem in (here, there)))
    assert counted(cycle, tmp_path) == ["B4", "B5", "B6", "B7"]
    across = [[f"{one}010", project(), "accepted", f"{one}011", ""]]
    assert counted(across, tmp_path) == ["D2"]
    before_letters = [f"1234567{n}{here[8:]}00f" for n in "456"]
    assert counted(of_projects(*before_letters), tmp_path) == ["B3", "B4"]
    in_tens = [f"1234567{n}{here[8:]}00f" for n in "246"]
    assert counted(of_projects(*in_tens), tmp_path) == ["B3", "B4"]
    spelled = [f"{here.upper()}321", f" {here}322"]
    assert counted(of_projects(*spelled), tmp_path) == ["B3"]


def test_ids_that_merely_look_alike_are_no_finding(tmp_path: Path) -> None:
    """Equal ends, equal beginnings, steps in the middle, and the same ID again are no series."""
    end, start = project()[-16:], image()[:19]
    rows = [
        *of_projects(*(f"{n:04x}{project()[:12]}{end}" for n in range(9))),
        *([f"{start}-{project()[:12]}", project(), "accepted", "", ""] for _ in range(9)),
        *(
            [f"{n:08x}-0000-4000-8000-000000000001", project(), "accepted", "", ""]
            for n in range(9)
        ),
        *of_projects(*[project()] * 3),
    ]
    assert counted(rows, tmp_path) == []


def test_a_million_random_ids_are_no_finding() -> None:
    """Nobody's list is blocked by chance."""
    import numpy as np

    from sharekit.checks.counted_ids import check_counted_up
    from sharekit.core.columns import EncodedColumn

    digits = np.random.default_rng(14).integers(0, 256, (1_000_000, 16), np.uint8).tobytes().hex()
    ids = pd.Series([digits[i : i + 32] for i in range(0, len(digits), 32)], dtype=STR)
    none = EncodedColumn.encode(pd.Series([""] * len(ids), dtype=STR))
    encoded = dict.fromkeys(("image_id", "vault_id", "owner"), none)
    encoded["project_id"] = EncodedColumn.encode(ids)
    assert check_counted_up(pd.DataFrame(), encoded, None, lambda keys, _: keys) == []


def test_a_person_who_knows_better_confirms_the_rule(tmp_path: Path) -> None:
    """Then it is a warning, even in strict mode; ledger, new plans and the report keep the name."""
    stem = project()[:-2]
    rows = [[image(), f"{stem}{n}", "accepted", "", ""] for n in (24, 25)]
    path = by_csv(tmp_path / "a.csv", [HEADER, *rows])
    inventory = sharekit.read_inventory(path)
    assert sharekit.check(inventory).rows["disposition"].tolist() == ["planned", "blocked"]
    findings = sharekit.check(inventory, strict=True, confirm=("counted-up",))
    assert findings.rows["disposition"].tolist() == ["planned", "planned"]
    assert findings.frame["severity"].tolist() == ["warning"]
    with pytest.raises(UsageError, match="'missing' cannot be confirmed"):
        sharekit.check(inventory, confirm=("missing",))

    run = tmp_path / "run.ledger"
    call = ["plan", str(path), str(run), "--confirm", "counted-up"]
    assert exit_code(*call) == 0
    stored = read_plan(run)
    assert stored.findings.confirmed == ("counted-up",)
    assert stored.counts["planned"] == 2
    with Ledger.open(run) as ledger:
        assert read_record(ledger).environment["setting confirmed"] == "counted-up"
    assert exit_code("check", str(path)) == 1
    assert exit_code("check", str(path), "--confirm", "x") == 2


def test_what_a_cloud_shows_is_no_finding(tmp_path: Path) -> None:
    """Images in listings and signed-in projects exist; then those beside them were counted up."""
    me, stem, mine = project(), image()[:-2], project()[:-2]
    images = [f"{stem}{n}" for n in (41, 42, 43)]
    seed = Seed(
        projects=(*(Project(p, p) for p in (me, OWNER, f"{mine}10", f"{mine}12")),),
        users=(User("u1", "ada", "s3same-47", projects=(me, OWNER, f"{mine}10")),),
        images=tuple(Image(i, OWNER) for i in images[1:]),
        shares=(*(Share(i, me) for i in images[1:]), Share(images[1], f"{mine}12")),
    )
    with start(seed) as cloud:
        config = cloud.write_clouds_yaml(tmp_path / "clouds.yaml")
        clouds = sharekit.connect(config_file=config)
        rows = [[one, me, "accepted", "", ""] for one in images]
        assert counted(rows, tmp_path, clouds=clouds) == ["A2"]
        shares = [[images[1], f"{mine}{n}", "share", "", ""] for n in (11, 10)]
        assert counted(shares, tmp_path, clouds=clouds) == ["B2"]
        back = [[images[1], f"{mine}{n}", "unshare", "", ""] for n in (10, 11, 12)]
        assert counted(back, tmp_path, clouds=clouds) == ["B3"]


def test_the_message_names_the_neighbour(tmp_path: Path) -> None:
    """Each ID is compared with the one that it was counted from, not with the first of all."""
    start = project()[:-2]
    rows = of_projects(*(f"{start}{number}" for number in (24, 25, 26, 27)))
    frame = sharekit.check(
        sharekit.read_inventory(by_csv(tmp_path / "a.csv", [HEADER, *rows]))
    ).frame
    messages = frame.loc[frame["rule"] == "counted-up", "message"]
    assert [text[-len("compare it with B2)") :] for text in messages] == [
        f"compare it with B{row})" for row in (2, 3, 4)
    ]

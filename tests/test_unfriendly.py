"""Nothing false is said of a cloud that is unfriendly; ``docs/unfriendly.md`` is this, measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sharekit.simulator import Simulator, start
from tests.unfriendly import BEHAVIOURS, SIDES, Tally, member_scene, try_out

PAGE = Path(__file__).parents[1] / "docs" / "unfriendly.md"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Simulator]:
    """One simulated cloud for all of them."""
    with start(member_scene().seed) as simulator:
        yield simulator


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_nothing_false_is_said(cloud: Simulator, name: str, side: str, *, native: bool) -> None:
    """Every finding, outcome, result and state agrees with the cloud's own truth."""
    tally = try_out(cloud, name, side, native=native, tally=Tally())
    assert tally.false == []


@pytest.mark.parametrize("side", SIDES)
def test_a_friendly_cloud_is_told_in_full(cloud: Simulator, side: str) -> None:
    """Without any fault nothing is left open but what no project and no service can show."""
    tally = try_out(cloud, "no fault at all", side, native=False, tally=Tally())
    assert tally.false == []
    assert tally.statements > 100
    # Who owns an image that nobody here owns is no project's to show.
    unknown = {"owner-unknown", "blocked (owner-unknown)"}
    assert set(tally.open) <= {
        "audit: unread",
        "vault-unread",
        "not-looked-up",  # nobody is shown the members of public images
        "blocked (not-looked-up)",
        *(unknown if side == "owner" else ()),
    }


def test_the_page_names_every_behaviour() -> None:
    """The page has a line for each behaviour, with its faults, and none with a false statement."""
    lines = re.findall(r"^\| (.+?) \| (?:`([^`]+)`|–) \| .* \| ([\d,]+) \| (\d+) \|$",
                       PAGE.read_text(encoding="utf-8"), re.MULTILINE)  # fmt: skip
    assert {name: faults for name, faults, _, _ in lines} == BEHAVIOURS
    assert all(int(said.replace(",", "")) > 0 and wrong == "0" for _, _, said, wrong in lines)

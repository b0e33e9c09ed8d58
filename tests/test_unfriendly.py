"""Nothing false is said of a cloud that is unfriendly; the page on them is this, measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sharekit.simulator import Simulator, start
from tests.unfriendly import BEHAVIOURS, MOMENTS, scene, try_out

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "unfriendly.md"
#: Faults of the batch call and its jobs alone: without it, a cloud that has them is a friendly one.
_OF_JOBS = {
    "foreign_results", "other_job", "job_partial", "empty_reason", "false_success", "no_results",
    "no_job_id", "seed",
}  # fmt: skip
CASES = [
    (name, native)
    for name, faults in BEHAVIOURS.items()
    for native in (False, True)
    if not (faults and native and {one.partition("=")[0] for one in faults.split(",")} <= _OF_JOBS)
]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Simulator]:
    """One simulated cloud for all of them."""
    with start(scene().seed) as simulator:
        yield simulator


@pytest.mark.slow
@pytest.mark.parametrize(("name", "native"), CASES)
def test_nothing_false_is_said(cloud: Simulator, name: str, *, native: bool) -> None:
    """Every finding, outcome, result and state agrees with the cloud's own truth."""
    # A cloud with the native call alone differs in how it lists images and takes requests.
    moments = MOMENTS[::2] if native else MOMENTS
    assert try_out(cloud, name, native=native, moments=moments).false == []


def test_a_friendly_cloud_is_told_in_full(cloud: Simulator) -> None:
    """Without any fault nothing is left open but what no project and no service can show."""
    tally = try_out(cloud, "no fault at all", native=False)
    assert tally.false == []
    assert tally.statements > 300
    # Nobody is shown the members of ME's public images (at planning and in two runs), nor who owns
    # what nobody here owns; nor whether B has any of these (in the audit).
    assert tally.open == {
        "not-looked-up": 2,
        "owner-unknown": 2,
        "blocked (not-looked-up)": 4,
        "blocked (owner-unknown)": 4,
        "audit: unread": 3,
    }


def test_the_page_names_every_behaviour() -> None:
    """The page has a line for each behaviour, with its faults, and none with a false statement."""
    lines = re.findall(r"^\| (.+?) \| (?:`([^`]+)`|–) \| .* \| ([\d,]+) \| (\d+) \|$",
                       PAGE.read_text(encoding="utf-8"), re.MULTILINE)  # fmt: skip
    assert {name: faults for name, faults, _, _ in lines} == BEHAVIOURS
    assert all(int(said.replace(",", "")) > 0 and wrong == "0" for _, _, said, wrong in lines)

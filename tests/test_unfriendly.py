"""Nothing false is said of a cloud that is unfriendly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sharekit.simulator import Simulator, start
from tests.unfriendly import BEHAVIOURS, SIDES, Tally, member_scene, try_out

#: Behaviours under which something false may still be said.
NOT_YET: frozenset[str] = frozenset(BEHAVIOURS) - {
    "no fault at all", "jobs lie", "jobs fail for some images", "200 without a job",
    "jobs fail for some images, reasons empty", "changes are seen 0.3 s late",
    "an image has at most 2 projects", "one project is shut out", "responses are lost",
    "reads are to wait for an hour", "requests are to wait for an hour",
}  # fmt: skip


@pytest.fixture(scope="module")
def cloud() -> Iterator[Simulator]:
    """One simulated cloud for all of them."""
    with start(member_scene().seed) as simulator:
        yield simulator


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", [name for name in BEHAVIOURS if name not in NOT_YET])
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
    assert set(tally.open) <= {"audit: unread", "vault-unread"}

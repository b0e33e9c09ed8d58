"""The owner's side: what a project owns and shares out, sharing and unsharing in batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sharekit
from sharekit import spec
from sharekit.clouds import Cloud, Member
from sharekit.errors import Refused
from sharekit.simulator import Image, Project, Seed, Share, Simulator, User
from tests.conftest import World

Make = Callable[..., World]
ME, A, B, OTHER = (c * 32 for c in "0abf")
MINE = [f"{n:08x}-0000-4000-8000-000000000001" for n in range(7)]
HIDDEN, PRIVATE, FOREIGN = (f"{n:08x}-0000-4000-8000-000000000002" for n in range(3))
USER = User("u", "ada", "right")


def cloud_of(simulator: Simulator, folder: Path, **settings: object) -> Cloud:
    """The owner's cloud: images shared with others, a hidden, a private and a foreign one."""
    images = [Image(i, ME, name=f"image-{n}") for n, i in enumerate(MINE)]
    images += [Image(HIDDEN, ME, hidden=True), Image(PRIVATE, ME, visibility="private")]
    images += [Image(FOREIGN, OTHER)]
    shares = [Share(MINE[0], A, spec.ACCEPTED), Share(MINE[0], B), Share(FOREIGN, ME, "accepted")]
    projects = tuple(Project(p, f"project-{p[0]}") for p in (ME, A, B, OTHER))
    simulator.reset(Seed(projects, (USER,), (), tuple(images), tuple(shares), ()), **settings)
    clouds = sharekit.connect(config_file=simulator.write_clouds_yaml(folder / "clouds.yaml"))
    return clouds[ME]


@pytest.mark.parametrize("native", [False, True])
def test_what_a_project_owns(
    world: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, native: bool
) -> None:
    """All own images come page by page, no foreign ones, and the members of each by its owner."""
    monkeypatch.setattr(spec, "PAGE_SIZE", 3)
    mine = cloud_of(world().cloud, tmp_path, native_only=native)
    owned = list(mine.owned())
    assert len(owned) == len({i.image_id for i in owned})
    # IMS knows no hidden images, and Glance no members of private ones.
    assert {i.image_id for i in owned} == {*MINE, HIDDEN if native else PRIVATE}
    assert {(i.owner, i.state) for i in owned} == {(ME, "")}
    found = mine.members(MINE[0])
    assert {(m.project_id, m.state) for m in found} == {(A, "accepted"), (B, "pending")}
    assert all(isinstance(m, Member) and m.created_at <= m.updated_at for m in found)
    assert mine.members(MINE[1]) == []
    # A member sees itself alone.
    assert [m.project_id for m in mine.members(FOREIGN)] == [ME]
    with pytest.raises(Refused) as refusal:
        mine.members(MINE[0].replace("8000", "9000"))
    assert refusal.value.http == 404

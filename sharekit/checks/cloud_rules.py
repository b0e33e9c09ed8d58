"""Rules of members' decisions against what the cloud shows."""

from __future__ import annotations

import pandas as pd

from sharekit.clouds.state.snapshot import Snapshot
from sharekit.core.actions import ABSENT, ACCEPTED, PENDING, SHARE, STATUSES
from sharekit.core.columns import STR, acting_project, are_satisfied, choose, join_lines
from sharekit.core.fields import PROJECT_ID, SHARE_KEY

from .hits import RuleHits, fullmatch
from .row_rules import SharePairs
from .vault_rules import check_vaults

#: What is known of a share that the snapshot lacks.
_NOT_ASKED = {"state": "", "owner": "", "whole_image": "", "unread": "no cloud was asked about it"}


def check_members(rows: pd.DataFrame, pairs: SharePairs, snapshot: Snapshot) -> list[RuleHits]:
    """Compare decisions with the clouds; sets ``before``, and ``whole_image`` as the cloud says."""
    known = choose(rows, pairs.legal & ~pairs.by_owner)
    projects = snapshot.projects.set_index("project_id")
    has_cloud = known["project_id"].isin(projects.index)
    hits = [RuleHits.where(~has_cloud, "no-credentials", "project_id")]
    known = choose(known, has_cloud)
    members = snapshot.members[[*SHARE_KEY, *_NOT_ASKED]]
    state = join_lines(known, members, SHARE_KEY, _NOT_ASKED)
    why = known["project_id"].map(projects["unread"]).astype(STR)
    state["unread"] = state["unread"].where(why == "", why)
    own = state["owner"] == known["project_id"]
    # A project is no member of its own images: what listings show there is what others decided.
    rows.loc[known.index, "before"] = state["state"].where(~own, "")
    absent, unread = (state["state"] == ABSENT) & ~own, (state["state"] == "") & ~own
    # Whoever wrote another status may have meant the owner's role, which needs no share there.
    undecidable = absent & known["status"].isin([*STATUSES, PENDING])
    satisfied = state["state"] == known["status"]
    owner_differs = (known["owner"] != "") & (state["owner"] != "")
    owner_differs &= (known["owner"] != state["owner"]) & fullmatch(known["owner"], PROJECT_ID)
    hits += [
        RuleHits.where(own, "own-image", "image_id"),
        RuleHits.where(unread, "not-looked-up", "image_id", state["unread"]),
        RuleHits.where(
            undecidable, "not-shared", "image_id", _shared_in_this_run(rows, known, pairs)
        ),
        check_region(known, known["project_id"], snapshot),
        RuleHits.where(satisfied & ~own, "already", "status"),
        RuleHits.where(owner_differs & ~own, "owner-differs", "owner"),
    ]
    shared = ~own & ~absent & ~unread
    known, state = choose(known, shared), choose(state, shared)
    return [
        *hits,
        check_full_ecs(rows, known, state),
        _vault_missing(known, state),
        *check_vaults(known, snapshot),
    ]


def check_operators(rows: pd.DataFrame, pairs: SharePairs, snapshot: Snapshot) -> RuleHits:
    """Find what an administrator would do for a project; what is so already needs nobody."""
    known = choose(rows, pairs.legal)
    operators = snapshot.projects.loc[snapshot.projects["acts_as"] != "", "project_id"]
    acts_for = acting_project(known).isin(operators)
    acts_for &= ~are_satisfied(known["status"], known["before"])
    return RuleHits.where(acts_for, "acts-for", "project_id")


def check_region(rows: pd.DataFrame, projects: pd.Series, snapshot: Snapshot) -> RuleHits:
    """Find rows that name another region than that of the project which acts."""
    regions = projects.map(snapshot.projects.set_index("project_id")["region"])
    regions = regions.fillna("").astype(STR)
    differs = (rows["region"] != "") & (regions != "") & (rows["region"] != regions)
    # People write EU-DE for the region eu-de.
    written = rows.loc[differs, "region"].str.casefold()
    differs[differs] = written != regions[differs].str.casefold()
    return RuleHits.where(differs, "region-differs", "region")


def check_full_ecs(rows: pd.DataFrame, known: pd.DataFrame, state: pd.DataFrame) -> RuleHits:
    """Find rows that are wrong about full-ECS, and set in all rows what the cloud says."""
    stated, actual = known["whole_image"], state["whole_image"]
    known_to_cloud = actual[actual != ""]
    rows.loc[known_to_cloud.index, "whole_image"] = known_to_cloud
    differs = (stated != "") & (actual != "") & (stated != actual)
    return RuleHits.where(differs, "full-ecs-differs", "whole_image")


def _vault_missing(known: pd.DataFrame, state: pd.DataFrame) -> RuleHits:
    # Where the inventory says full-ECS too, the row has this finding already.
    missing = (state["whole_image"] == "true") & (known["whole_image"] != "true")
    missing &= (known["status"] == ACCEPTED) & (known["vault_id"] == "")
    missing &= state["state"] != known["status"]
    detail = pd.Series("the cloud says so", index=known.index, dtype=STR)
    return RuleHits.where(missing, "vault-missing", "vault_id", detail)


def _shared_in_this_run(rows: pd.DataFrame, known: pd.DataFrame, pairs: SharePairs) -> pd.Series:
    """Return a note where another row of the same run is about to share what a row decides on."""
    numbers = pd.Series(pairs.numbers, index=rows.index)
    shared = numbers[pairs.legal & (rows["status"] == SHARE).to_numpy(dtype=bool)]
    note = "another row shares it in this very run: decide in the run after it"
    return pd.Series("", index=known.index, dtype=STR).mask(numbers[known.index].isin(shared), note)

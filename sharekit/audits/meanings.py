"""The words of an audit: what can be said of a share, why, and what can have changed.

Names are stable: scripts, workbooks and old audits use them.

Examples
--------
>>> RESULTS["unlisted"].meaning
'shared with the project, and in no row of the inventory'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sharekit.core.outcomes import OUTCOMES


@dataclass(frozen=True)
class Result:
    """What an audit says of a row or a share.

    Attributes
    ----------
    meaning : str
        The result in one sentence.
    rank : int
        Place in a report, counted from 1: what to look at comes first. Rows of the same rank stay
        in the inventory's order.
    like : str
        The outcome of a run that has the same colour.
    agrees : bool
        Nobody needs to look at it.
    drift : bool
        Inventory and cloud differ for certain.
    """

    meaning: str
    rank: int
    like: str
    agrees: bool = False
    drift: bool = False

    @property
    def color(self) -> str:
        """``#rrggbb``."""
        return OUTCOMES[self.like].color


#: Name -> result; the closed list, in the order of every count.
RESULTS: Final = {
    "agrees": Result(
        "the cloud shows the share as the inventory records it",
        rank=8, like="confirmed", agrees=True,
    ),
    "differs": Result(
        "decided differently than the inventory records",
        rank=2, like="failed", drift=True,
    ),
    "undecided": Result(
        "shared, and nobody has decided about it yet",
        rank=6, like="claimed", drift=True,
    ),
    "absent": Result(
        "in the inventory, but the cloud shows no such share",
        rank=5, like="contradicted", drift=True,
    ),
    "unlisted": Result(
        "shared with the project, and in no row of the inventory",
        rank=3, like="blocked", drift=True,
    ),
    "shared-out": Result(
        "the project shares its own image with another project, and no row says so",
        rank=4, like="pending", drift=True,
    ),
    "unread": Result(
        "the project or the share could not be read, or no cloud that was named gives access, so "
        "nothing is known",
        rank=1, like="unknown",
    ),
    "faulty": Result(
        "the row names no share and decision that could be compared",
        rank=7, like="skipped",
    ),
    "duplicate": Result(
        "the same share and decision as another row, which is named",
        rank=8, like="duplicate", agrees=True,
    ),
}  # fmt: skip
#: Results that ask for no attention.
GOOD: Final = frozenset(name for name, result in RESULTS.items() if result.agrees)
#: Results that are a difference between inventory and cloud for certain.
DRIFT: Final = frozenset(name for name, result in RESULTS.items() if result.drift)
#: All results in the order of a report.
BY_RANK: Final = tuple(sorted(RESULTS, key=lambda name: RESULTS[name].rank))

#: Code -> why there is no share, as far as the cloud lets it be seen.
ABSENCES: Final = {
    "not-told": "withdrawn, deleted, or never there: the cloud answers all three alike",
    "was-shared": "it was shared when last looked at; since then withdrawn, or the image deleted",
    "owner-keeps": "its owner still has the image and shares it with others or nobody: withdrawn, "
    "or never shared with this project",
    "owner-lacks": "the owner that the inventory names has no such image: deleted, or never there",
    "own-image": "the project owns the image itself, so nobody shares it with the project",
    "visible": "the project sees the image without any share: it is public, or for a community",
}
#: Code -> why a share is ``unread`` although its project could be read.
UNREAD: Final = {
    "not-looked-up": "the cloud does not show the state of the share; the reason says what it did",
}
#: Name -> what has changed since the earlier audit or run.
CHANGES: Final = {
    "newly-shared": "shared now, and not then",
    "gone": "shared then, and not any more",
    "decided": "undecided then, decided now",
    "decided-otherwise": "decided then, and otherwise now",
    "undecided-again": "decided then, and undecided again now",
    "now-agrees": "the same in the cloud; the inventory now records it",
    "now-drifts": "the same in the cloud; the inventory no longer records it",
    "not-told": "seen then; now its project could not be read",
}

"""The words of an audit: results of rows and shares, kinds of absence, and kinds of change.

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
    """The result of an audit for a row or a share.

    Attributes
    ----------
    meaning : str
        The result in one sentence.
    rank : int
        Place in a report, counted from 1; what needs a person comes first. Rows of the same rank
        keep the inventory's order.
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
        "shared with the project, and not decided yet",
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
        "the project shares its own image with another project, and no row records it",
        rank=4, like="pending", drift=True,
    ),
    "unread": Result(
        "unknown: the project or the share could not be read, or none of the named clouds gives "
        "access to it",
        rank=1, like="unknown",
    ),
    "faulty": Result(
        "the row has an error, so it cannot be compared with the cloud",
        rank=7, like="skipped",
    ),
    "duplicate": Result(
        "another row, which is named, has the same share and decision",
        rank=8, like="duplicate", agrees=True,
    ),
}  # fmt: skip
#: Results that ask for no attention.
GOOD: Final = frozenset(name for name, result in RESULTS.items() if result.agrees)
#: Results that are a difference between inventory and cloud for certain.
DRIFT: Final = frozenset(name for name, result in RESULTS.items() if result.drift)
#: All results in the order of a report.
BY_RANK: Final = tuple(sorted(RESULTS, key=lambda name: RESULTS[name].rank))

#: Code -> why the cloud shows no such share, as far as it lets an audit see that.
ABSENCES: Final = {
    "not-told": "unshared, deleted, or never shared: the cloud's response is the same for all "
    "three",
    "was-shared": "shared at the time of the earlier audit or run; unshared or deleted since then",
    "owner-keeps": "the owner still has the image, and does not share it with this project",
    "owner-lacks": "the owner named in the inventory has no such image: deleted, or never there",
    "own-image": "the project owns the image itself",
    "visible": "the project sees the image without a share: its visibility is public or community",
}
#: Code -> why a share is ``unread`` although its project could be read.
UNREAD: Final = {
    "not-looked-up": "the cloud does not show the state of the share; the reason says what it did",
}
#: Name -> what has changed since the earlier audit or run.
CHANGES: Final = {
    "newly-shared": "shared now, and not shared then",
    "gone": "shared then, and not shared now",
    "decided": "pending then, decided now",
    "decided-otherwise": "decided then, and decided differently now",
    "undecided-again": "decided then, and pending again now",
    "now-agrees": "unchanged in the cloud; the inventory agrees with it now",
    "now-drifts": "unchanged in the cloud; the inventory does not agree with it any more",
    "not-told": "read then; now the project could not be read",
}

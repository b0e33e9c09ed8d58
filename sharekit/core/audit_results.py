"""The words of an audit, as data: what can be said of a share, why, and what can have changed.

Names are stable: scripts, workbooks and old audits use them.

Examples
--------
>>> RESULTS["unlisted"]
'shared with the project, and in no row of the inventory'
"""

from __future__ import annotations

from typing import Final

#: name -> what it means; the closed list of what an audit says of a row or a share.
RESULTS: Final = {
    "agrees": "the cloud shows the share as the inventory records it",
    "differs": "decided differently than the inventory records",
    "undecided": "shared, and nobody has decided about it yet",
    "absent": "in the inventory, but the cloud shows no such share",
    "unlisted": "shared with the project, and in no row of the inventory",
    "shared-out": "the project shares its own image with another project, and no row says so",
    "unread": "the project could not be read, or no cloud that was named gives access to it, so "
    "nothing is known",
    "faulty": "the row names no share and decision that could be compared",
    "duplicate": "the same share and decision as another row, which is named",
}
#: What asks for no attention.
GOOD: Final = frozenset({"agrees", "duplicate"})
#: What is a difference between inventory and cloud for certain.
DRIFT: Final = frozenset({"differs", "undecided", "absent", "unlisted", "shared-out"})

#: code -> why there is no share, as far as the cloud lets it be seen.
ABSENCES: Final = {
    "not-told": "withdrawn, deleted, or never there: the cloud answers all three alike",
    "was-shared": "it was shared when last looked at; since then withdrawn, or the image deleted",
    "owner-keeps": "its owner still has the image and shares it with others or nobody: withdrawn, "
    "or never shared with this project",
    "owner-lacks": "the owner that the inventory names has no such image: deleted, or never there",
    "own-image": "the project owns the image itself, so nobody shares it with the project",
    "visible": "the project sees the image without any share: it is public, or for a community",
    "not-looked-up": "in no listing; too many are missing to look each one up, so it may be hidden",
}
#: code -> why a row could not be compared, where no rule of the checks says so.
UNREADABLE: Final = {"no-credentials": "no cloud was named that gives access to this project"}

#: name -> what has changed since an earlier look.
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

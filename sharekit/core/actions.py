"""What can be done with a share, by whom, and the states it can be seen in.

A share of an image with a project has two roles: the project (the *member*) accepts or rejects it,
the *owner* of the image shares it or takes it back. Both may act on the same share, so a share is
named by image and project, and an action by its role as well.

Sources: ``IMS-members`` (see :mod:`sharekit.core.fields`); ``IMS-sharing`` is the same API, adding
and deleting members in batches (``POST``, ``DELETE``); ``Glance`` is OpenStack Image API v2.
"""

from __future__ import annotations

from typing import Final, Literal

#: IMS-members: the only two values of ``status``.
STATUSES: Final = ("accepted", "rejected")
#: IMS-sharing: what an image's owner does with a project; ours, since the calls have no status.
SHARE, UNSHARE = "share", "unshare"
OWNER_ACTIONS: Final = (SHARE, UNSHARE)
#: All that the status column takes.
ACTIONS: Final = (*STATUSES, *OWNER_ACTIONS)
#: The words for a decision that type checkers know; whoever decides may write many others.
Decision = Literal["", "accept", "accepted", "reject", "rejected", "share", "unshare", "skip"]
#: What a reviewer may decide instead -> the act it stands for.
DECISIONS: Final[dict[Decision, str]] = {
    "accept": "accepted", "reject": "rejected", "share": SHARE, "unshare": UNSHARE
}  # fmt: skip
#: A reviewer leaves the share as it is in the cloud.
SKIP: Final = "skip"
#: What a reviewer may decide on a row; ``""`` is what the inventory says.
DECIDABLE: Final = ("", *DECISIONS, SKIP)
#: The decision that stands for each action.
DECISION_OF_ACTION: Final = {action: decision for decision, action in DECISIONS.items()}
#: States a share can be seen in (Glance); ``absent`` is ours: not shared with the project.
PENDING, ACCEPTED, REJECTED, ABSENT = "pending", "accepted", "rejected", "absent"
MEMBER_STATES: Final = (PENDING, ACCEPTED, REJECTED)
#: Words Glance prints for the *image*, which is not a decision about a share.
IMAGE_STATES: Final = frozenset(
    "active queued saving uploading importing killed deactivated deleted pending_delete "
    "pending".split()
)
#: Whose act it is, or whose view of a share.
MEMBER, OWNER = "member", "owner"
ROLES: Final = (MEMBER, OWNER)


def is_satisfied(act: str, state: str) -> bool:
    """Return True if a share in this state is what the action is for.

    A share is there once the project sees it, whatever it has decided since.

    >>> is_satisfied("share", "rejected"), is_satisfied("unshare", "absent")
    (True, True)
    >>> is_satisfied("accepted", "pending")
    False
    """
    if act == SHARE:
        return state in MEMBER_STATES
    return state == (ABSENT if act == UNSHARE else act)

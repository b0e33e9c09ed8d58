"""The two sides of a share: the project that decides on it, and the owner who offers it.

Both may act on one share of an image with a project: the member accepts or rejects, the owner
shares or takes it back. So a share is named by image and project, an act by its side as well.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from . import spec

#: Whose act it is, or whose view of a share.
MEMBER, OWNER = "member", "owner"
SIDES: Final = (MEMBER, OWNER)


def by_owner(status: pd.Series) -> pd.Series:
    """Say of each act whether it is the owner's.

    >>> by_owner(pd.Series(["accepted", "unshare"])).tolist()
    [False, True]
    """
    return status.isin(spec.SHARING)


def amount(status: pd.Series, number: int) -> str:
    """A number of what acts are about, in words: an owner acts on images × projects, so on shares.

    >>> amount(pd.Series(["accepted"]), 2), amount(pd.Series(["accepted", "share"]), 1)
    ('2 images', '1 share')
    """
    what = "share" if by_owner(status).any() else "image"
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def sides(status: pd.Series) -> pd.Series:
    """Name the side of each act.

    >>> sides(pd.Series(["accepted", "unshare"])).tolist()
    ['member', 'owner']
    """
    named = pd.Series(MEMBER, index=status.index, dtype="str")
    return named.mask(by_owner(status), OWNER)


def wants(act: str, state: str) -> bool:
    """Whether a state of a share is what an act is for.

    A share is there once the project sees it, whatever it has decided since.

    >>> wants("share", "rejected"), wants("unshare", "absent"), wants("accepted", "pending")
    (True, True, False)
    """
    if act == spec.SHARE:
        return state in spec.MEMBER_STATES
    return state == (spec.ABSENT if act == spec.UNSHARE else act)


def as_wanted(status: pd.Series, state: pd.Series) -> pd.Series:
    """As :func:`wants`, of each row.

    >>> as_wanted(pd.Series(["share", "share"]), pd.Series(["pending", "absent"])).tolist()
    [True, False]
    """
    good = status == state
    if not by_owner(status).any():
        return good
    good |= (status == spec.SHARE) & state.isin(spec.MEMBER_STATES)
    return good | ((status == spec.UNSHARE) & (state == spec.ABSENT))

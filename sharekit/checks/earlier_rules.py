"""The rule about earlier runs: what would turn back what was decided on the same share."""

from __future__ import annotations

import pandas as pd

from sharekit.core.columns import STR, action_keys, is_among, join_lines
from sharekit.core.fields import ACTION_KEY

from .hits import Keys, RuleHits


def check_earlier(rows: pd.DataFrame, earlier: pd.DataFrame, unsent: Keys) -> RuleHits:
    """Find rows that would reverse what an earlier run decided on their share.

    Parameters
    ----------
    rows : DataFrame
        Every row, with the decisions on it.
    earlier : DataFrame
        :data:`sharekit.core.frame_schemas.EARLIER`.
    unsent : ndarray of int64
        Keys of rows that are not sent anyway.
    """
    lines = earlier.drop_duplicates([*ACTION_KEY, "run"])  # what counts for a share comes first
    lines = lines[lines["action"] != ""].drop_duplicates(ACTION_KEY)
    known = is_among(rows["image_id"], lines["image_id"])  # few, so only these are looked up
    known &= ~rows.index.isin(unsent)
    nothing = dict.fromkeys(("action", "by", "run", "reason"), "")
    was = join_lines(action_keys(rows[known]), lines, ACTION_KEY, nothing)
    reverses = (was["action"] != "") & (was["action"] != rows.loc[known, "status"])
    reason = (": " + was["reason"]).where(was["reason"] != "", "")
    left = was["action"].where(was["action"] != "skip", "left as it is")
    detail = was["run"] + ": " + left + ", by " + was["by"] + reason
    return RuleHits.where(reverses, "reverses-earlier", "status", detail.astype(STR))

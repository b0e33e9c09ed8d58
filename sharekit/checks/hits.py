"""The hits of a rule: what each file of this package finds and the next one builds on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sharekit.core.columns import contains

#: Keys of rows. They count from 0, so they are positions, too.
Keys = NDArray[np.int64]

NO_KEYS: Keys = np.array([], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class RuleHits:
    """The cells, or the sheet, that break one rule.

    Attributes
    ----------
    rule : str
        A name in :data:`sharekit.core.rules.RULES`.
    keys : ndarray of int64
        The rows' keys; none for a whole sheet.
    field : str
        The field of the cells.
    value : Series, optional
        By row key: the value to show instead of the cell's.
    detail : Series, optional
        By row key: what to add to the message.
    source : int
        Position of the sheet in ``Inventory.sources`` if the whole sheet breaks the rule, else -1.
    sheet_note : str
        The value to show for a whole sheet.
    sheet_detail : str
        What to add to the message for a whole sheet.
    """

    rule: str
    keys: Keys
    field: str = ""
    value: pd.Series | None = None
    detail: pd.Series | None = None
    source: int = -1
    sheet_note: str = ""
    sheet_detail: str = ""

    @classmethod
    def where(
        cls, mask: pd.Series, rule: str, field: str, detail: pd.Series | None = None
    ) -> RuleHits:
        """Return the hits of a rule in the rows for which a mask holds."""
        return cls(rule, row_keys(mask), field, detail=detail)

    @property
    def is_empty(self) -> bool:
        """Whether nothing breaks the rule."""
        return not len(self.keys) and self.source < 0

    def excluding(self, keys: Keys) -> RuleHits:
        """Return the hits without those in some rows."""
        if not len(keys):
            return self
        return replace(self, keys=self.keys[~np.isin(self.keys, keys)])

    def select(self, chosen: NDArray[np.bool_], rule: str = "") -> RuleHits:
        """Return some of the hits, by a mask of their keys, as hits of another rule if named."""
        detail = None if self.detail is None else self.detail[chosen]
        return replace(self, rule=rule or self.rule, keys=self.keys[chosen], detail=detail)


def row_keys(mask: pd.Series) -> Keys:
    """Return the keys of the rows for which a mask holds."""
    keys: Keys = mask.index.to_numpy(dtype=np.int64)[mask.to_numpy(dtype=bool)]
    return keys


def fullmatch(values: pd.Series, pattern: str) -> pd.Series:
    r"""Return True for each value that matches the pattern as a whole, any final line feed too.

    >>> fullmatch(pd.Series(["ab", "ab\n"], dtype="str"), "[a-z]+").tolist()
    [True, False]
    """
    return contains(values, rf"\A(?:{pattern})\z")

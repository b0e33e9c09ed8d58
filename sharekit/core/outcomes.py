"""What can become of a row: every outcome with its meaning, and how all interfaces treat it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Outcome:
    """One outcome.

    Attributes
    ----------
    meaning : str
        What became of the row, in one sentence.
    rank : int
        Place in a report, counted from 1: what needs a person comes first.
    color : str
        ``#rrggbb``, of a palette that colour-blind people can tell apart (Okabe and Ito). The
        outcome's name always stands beside it.
    tone : str
        ``good``, ``calm``, ``warn``, ``bad`` or ``""``, for interfaces with few colours.
    settled : bool
        The row needs no further action.
    open : bool
        Another ``submit`` of the same run can still change it.
    retryable : bool
        A new run may try the row again. What is only open is left to the first run.
    next_step : str
        What a person should do; ``""`` where the row is settled.
    """

    meaning: str
    rank: int
    color: str
    tone: str = ""
    settled: bool = False
    open: bool = False
    retryable: bool = False
    next_step: str = ""


#: Name -> outcome; the closed list, in the order of every count.
OUTCOMES: Final = {
    "confirmed": Outcome(
        "the cloud was read back and shows the wanted state",
        rank=7, color="#009e73", tone="good", settled=True,
    ),
    "already": Outcome(
        "the cloud showed the wanted state before; nothing was sent",
        rank=8, color="#56b4e9", tone="calm", settled=True,
    ),
    "claimed": Outcome(
        "the cloud reported success, but could not be read back",
        rank=6, color="#d4b400", tone="warn",
        next_step="Look at the share in the cloud: this run was not able to read it back.",
    ),
    "contradicted": Outcome(
        "the cloud reported one result and shows another",
        rank=2, color="#cc79a7", tone="bad", retryable=True,
        next_step="Look at the share in the cloud; then “sharekit retry”.",
    ),
    "failed": Outcome(
        "the cloud refused, with a code and a reason",
        rank=1, color="#d55e00", tone="bad", retryable=True,
        next_step="Settle it with the other side of the share, or the cloud; then “sharekit retry”."
    ),
    "blocked": Outcome(
        "a check forbade it; nothing was sent",
        rank=4, color="#e69f00", tone="warn",
        next_step="Mend the cell that the finding names, and plan a new run with it.",
    ),
    "skipped": Outcome(
        "left as it is: a reviewer decided so, or the row asks for nothing; nothing was sent",
        rank=9, color="#9aa5b1", settled=True,
    ),
    "duplicate": Outcome(
        "carried by another row, which is named",
        rank=10, color="#b8c0c8", settled=True,
    ),
    "unknown": Outcome(
        "sent, but not known to be done: the reason says why; submit again to settle it",
        rank=3, color="#616e7c", tone="warn", open=True, retryable=True,
        next_step="“sharekit submit” again: it reads the cloud back before it sends anything.",
    ),
    "pending": Outcome(
        "not sent yet",
        rank=5, color="#0072b2", tone="warn", open=True,
        next_step="“sharekit submit” goes on with it.",
    ),
}  # fmt: skip
#: Outcomes that need no further action.
FINAL_OK: Final = frozenset(name for name, outcome in OUTCOMES.items() if outcome.settled)
#: Outcomes that another ``submit`` can still change.
UNSETTLED: Final = frozenset(name for name, outcome in OUTCOMES.items() if outcome.open)
#: Outcomes that a new run may try again.
RETRYABLE: Final = tuple(name for name, outcome in OUTCOMES.items() if outcome.retryable)
#: Outcomes in which the cloud did not do what was asked of it.
FAILURES: Final = tuple(name for name, outcome in OUTCOMES.items() if outcome.tone == "bad")
#: All outcomes in the order of a report.
BY_RANK: Final = tuple(sorted(OUTCOMES, key=lambda name: OUTCOMES[name].rank))


def tint(color: str, share: float = 0.25) -> str:
    """Return a colour mixed with white; ``share`` is the colour's part.

    >>> tint("#009e73"), tint("#009e73", 0.0)
    ('#bfe7dc', '#ffffff')
    """
    channels = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - channel) * share):02x}" for channel in channels)

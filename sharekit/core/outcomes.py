"""What can become of a row: the closed list of outcomes."""

from __future__ import annotations

from typing import Final

#: name -> what it means; the closed list of what can become of a row.
OUTCOMES: Final = {
    "confirmed": "the cloud was read back and shows the wanted state",
    "already": "the cloud showed the wanted state before; nothing was sent",
    "claimed": "the cloud said it succeeded, but could not be read back",
    "contradicted": "the cloud said one thing and showed another",
    "failed": "the cloud refused, with a code and a reason",
    "blocked": "a check forbade it; nothing was sent",
    "skipped": "the reviewer decided to leave it; nothing was sent",
    "duplicate": "carried by another row, which is named",
    "unknown": "sent, but neither answered nor observed; submit again to settle it",
    "pending": "not sent yet",
}
#: Outcomes that ask for no further action.
FINAL_OK: Final = frozenset({"confirmed", "already", "skipped", "duplicate"})
#: Outcomes that another ``submit`` can still change.
UNSETTLED: Final = frozenset({"unknown", "pending"})

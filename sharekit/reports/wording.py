"""How reports write numbers, units and times, and what they call the states of a share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from sharekit.core.columns import STR
from sharekit.core.html import escape_invisible

#: Characters of a text that are quoted.
QUOTED: Final = 80
#: Decision or state -> what it means (IMS-members, Glance).
STATES: Final = {
    "accepted": "the image is in the project's image list, and servers can be created from it",
    "rejected": "the image is not in the project's image list; servers can still be created from "
    "it by its ID. Rejecting does not take the access away: only the owner can withdraw a share",
    "pending": "the share was offered and not yet decided; the image is not in the list",
    "absent": "the cloud showed no share of this image with this project",
    "share": "the owner offers the image to the project, which has yet to decide; if it has it "
    "already, its decision stays as it is",
    "unshare": "the owner takes the share back, and with it what the project has decided",
}
#: Columns of what projects are called -> what they hold.
PROJECT_NAME_COLUMNS: Final = {
    "project_name": "the name of the project that the image is shared with; empty if nothing told "
    "it, as no API tells the names of other tenants",
    "project_name_source": "what told that name: sign-in (the cloud, at the sign-in to the "
    "project), clouds.yaml (its project_name), inventory (a column of the input) or entry in "
    "clouds.yaml (the name of the entry)",
}


def percent(count: int, total: int) -> str:
    """Return a part in percent, ``""`` for nothing.

    >>> percent(1, 8), percent(1, 10_000), percent(0, 8)
    ('12.5 %', '< 0.1 %', '')
    """
    share = count / max(total, 1)
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %" if count else ""


def format_time(time: str) -> str:
    """Return a time in ISO 8601 as people read it, and any other text as it is.

    >>> format_time("2026-07-01T08:57:00.250000Z")
    '2026-07-01 08:57:00 UTC'
    """
    day, _, clock = time.removesuffix("Z").partition("T")
    return f"{day} {clock[:8]} UTC" if clock and time.endswith("Z") else time


def format_duration(seconds: float) -> str:
    """Return a duration in the largest units that fit.

    >>> format_duration(0.5), format_duration(75), format_duration(7260)
    ('0.5 s', '1 min 15 s', '2 h 01 min')
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


def utc(times: pd.Series) -> pd.Series:
    """Return times as ISO 8601 text in UTC, ``""`` for ``NaT``; text comes back as it is.

    >>> utc(pd.Series(pd.to_datetime(["2026-07-01T10:00:00.25Z", None]))).tolist()
    ['2026-07-01T10:00:00.250000Z', '']
    """
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        return times
    plain = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    text = np.where(np.isnat(plain), "", np.char.add(np.datetime_as_string(plain), "Z"))
    return pd.Series(text, index=times.index, dtype=STR)


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its times as text and its truth values as ``yes`` or ``""``.

    >>> as_text(pd.DataFrame({"hidden": [True, False]}))["hidden"].tolist()
    ['yes', '']
    """
    times = frame.select_dtypes("datetimetz").columns
    truths = frame.select_dtypes("bool").columns
    return frame.assign(
        **{name: utc(frame[name]) for name in times},
        **{name: frame[name].map({True: "yes", False: ""}).astype(STR) for name in truths},
    )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a small frame, each by the names of its columns."""
    return [{str(name): cell for name, cell in line.items()} for line in frame.to_dict("records")]


def first_lines(frame: pd.DataFrame, *names: str) -> dict[Any, int]:
    """Return for each value of one column, or of several, its first line, counted from 0.

    >>> first_lines(pd.DataFrame({"code": ["a", "b", "a"]}), "code")
    {'a': 0, 'b': 1}
    """
    first = frame[list(names)].reset_index(drop=True).drop_duplicates()
    values = first[names[0]] if len(names) == 1 else first.itertuples(index=False, name=None)
    return dict(zip(values, first.index.tolist(), strict=True))


def glossary(words: Mapping[str, Mapping[str, str]]) -> dict[str, pd.DataFrame]:
    """Return the words of each title and their meanings as a small table."""
    return {title: pairs(listed.items(), "word", "meaning") for title, listed in words.items()}


def pairs(values: Iterable[tuple[str, str]], *names: str) -> pd.DataFrame:
    """Return pairs of texts as a frame with these two columns."""
    return pd.DataFrame(list(values), columns=list(names), dtype=STR)


def first_difference(says: Sequence[object], should: Sequence[object]) -> int:
    """Return the position of the first difference of two texts."""
    pairs = enumerate(zip(says, should, strict=False))
    return next((n for n, (one, two) in pairs if one != two), min(len(says), len(should)))


def text_difference(given: str, wanted: str) -> str:
    """Describe how two texts differ; where only invisible characters do, they are spelled out."""
    one, two = quoted(given), quoted(wanted)
    if one == two:
        start = max(first_difference(given, wanted) - 20, 0)
        one, two = (ascii(text[start : start + QUOTED]) for text in (given, wanted))
    return f"says {one}, should say {two}"


def quoted(text: str) -> str:
    """Return a text in quotation marks, shortened; `nothing` for a blank one."""
    text = escape_invisible(text.strip())
    return f"“{text if len(text) <= QUOTED else text[:QUOTED] + '…'}”" if text else "nothing"

"""Small, escaped tables for notebooks; nothing from data becomes markup."""

from __future__ import annotations

import html
import re

import pandas as pd

_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def plain(text: object) -> str:
    r"""Spell out characters that cannot be seen, that reorder text, or that steer a terminal.

    >>> plain("a\u202e\x1b")
    'a[U+202E][U+001B]'
    """
    return _ODD.sub(lambda c: f"[U+{ord(c[0]):04X}]", str(text))


def visible(text: object) -> str:
    r"""As :func:`plain`, and markup escaped.

    >>> visible("<b>\u202e")
    '&lt;b&gt;[U+202E]'
    """
    return html.escape(plain(text))


def table(frame: pd.DataFrame, *, title: str, limit: int = 20) -> str:
    """Return the first rows of a frame as an HTML table, with how many there are."""
    head = frame.head(limit)
    lines = ["".join(f"<th>{visible(name)}</th>" for name in head.columns)]
    lines += [
        "".join(f"<td>{visible(str(value)[:200])}</td>" for value in line)
        for line in head.itertuples(index=False)
    ]
    more = f"<p>… and {len(frame) - limit:,} more.</p>" if len(frame) > limit else ""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<p><b>{visible(title)}</b></p><table>{body}</table>{more}"

"""Small, escaped tables for notebooks; nothing from data becomes markup."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Final

import pandas as pd

#: Everything that cannot be seen, or that changes how its neighbours look.
_ODD: Final = re.compile(
    "["
    + "".join(
        f"\\U{code:08x}"
        for code in (*range(0x3000), 0xFEFF, *range(0xFFF0, 0x10000), *range(0xE0000, 0xE0200))
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Zl", "Zp"}
    )
    + "\\xa0\\ud800-\\udfff\\ufffe\\uffff]"
)

_LEFT: Final = ' style="text-align:left"'


def escape_invisible(text: object) -> str:
    r"""Spell out characters that cannot be seen, or that reorder or break the text around them.

    Control characters become their pictures; what directs the writing, joins or breaks without a
    shape of its own becomes its number.

    >>> escape_invisible("a\x00b\n\u202ec")
    'a␀b␊[U+202E]c'
    """
    return _ODD.sub(_spelled, str(text))


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code == 0x7F:
        return "␡"
    return chr(0x2400 + code) if code < 0x20 else f"[U+{code:04X}]"


def shorten(text: str, limit: int = 60) -> str:
    """Return a text of at most so many characters; what is cut off is shown as an ellipsis.

    >>> shorten("x" * 5, 5), shorten("x" * 9, 5)
    ('xxxxx', 'xxxx…')
    """
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def escape_html(text: object) -> str:
    r"""As :func:`escape_invisible`, and markup escaped.

    >>> escape_html("<b>\u202e")
    '&lt;b&gt;[U+202E]'
    """
    return html.escape(escape_invisible(text))


def table(frame: pd.DataFrame, *, title: str, limit: int = 20) -> str:
    """Return the first rows of a frame as an HTML table, with how many there are."""
    head = frame.head(limit)
    # Jupyter sets every cell to the right, which only suits numbers.
    looks = ["" if kind.kind in "iuf" else _LEFT for kind in head.dtypes]
    titles = zip(head.columns, looks, strict=True)
    lines = ["".join(f"<th{look}>{escape_html(name)}</th>" for name, look in titles)]
    lines += [
        "".join(
            f"<td{look}>{escape_html(shorten(str(value), 200))}</td>"
            for value, look in zip(line, looks, strict=True)
        )
        for line in head.itertuples(index=False)
    ]
    more = f"<p>… and {len(frame) - limit:,} more.</p>" if len(frame) > limit else ""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    # No colours: a table without any follows the notebook's theme, light or dark.
    return without_mathjax(f"<p><b>{escape_html(title)}</b></p><table>{body}</table>{more}")


def without_mathjax(markup: str) -> str:
    """Keep Jupyter from typesetting what stands between two dollar signs."""
    return f'<div class="mathjax_ignore tex2jax_ignore">{markup}</div>'

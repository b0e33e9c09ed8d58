"""Pages of the panel as trees of elements: data are only ever their texts and values.

A tree is ``[tag, attributes, children]``; a child is a tree or a text. The page makes elements and
text nodes of it, and never reads it as markup; the summary of a saved notebook escapes it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

from sharekit.core.html import escape_invisible

#: An element: its tag, attributes and children.
Tree = list[Any]
#: What an element may be given as a child; None is left out.
Child = Tree | str | int | None


def h(tag: str, *children: Child | Iterable[Child], **attributes: Any) -> Tree:
    r"""Return an element; what cannot be seen in its texts is spelled out.

    A tag can name classes, as in ``div.sk-note.bad``. ``do`` and ``key`` are what a click or a
    change tells Python. Attributes that are None or False are left out.

    >>> h("p.calm", "a\u202e", h("b", 1200), title="x")
    ['p', {'class': 'calm', 'title': 'x'}, ['a[U+202E]', ['b', {}, ['1,200']]]]
    """
    name, _, classes = tag.partition(".")
    given = {"class": " ".join(filter(None, (*classes.split("."), attributes.pop("classes", ""))))}
    given |= {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    kept = {
        key: value if key in ("do", "key", "value", "focus") else _text(value)
        for key, value in given.items()
        if value is not None and value != "" and not (isinstance(value, bool) and not value)
    }
    return [name, kept, [_text(child, name) for child in _flat(children)]]


def _flat(children: Iterable[Any]) -> Iterable[Any]:
    for child in children:
        if isinstance(child, str | int) or (isinstance(child, list) and _is_tree(child)):
            yield child
        elif child is not None:
            yield from _flat(child)


def _is_tree(child: list[Any]) -> bool:
    return len(child) > 1 and isinstance(child[0], str) and isinstance(child[1], dict)


def _text(value: Any, tag: str = "") -> Any:
    if isinstance(value, bool | list | dict):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    lines = str(value).split("\n") if tag == "pre" else [value]
    return "\n".join(map(escape_invisible, lines))


def short(value: object, limit: int = 120) -> str:
    """Return a value as text; a long one is cut and says its length.

    >>> short("x" * 300, 10)
    'xxxxxxxxxx … (300 characters)'
    """
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text):,} characters)"


def note(text: object, tone: str = "warn") -> Tree:
    """Return one sentence that stands out."""
    return h(f"div.sk-note.{tone}", str(text))


def button(label: object, do: str, key: object = "", **attributes: Any) -> Tree:
    """Return a button, which tells Python ``do`` and ``key``."""
    return h("button", str(label), type="button", do=do, key=str(key), **attributes)


def field(label: str, name: str, value: str = "", **attributes: Any) -> Tree:
    """Return a field for a line of text, with its label."""
    return h("label", label, h("input", type="text", name=name, value=value, **attributes))


def table(heads: Iterable[str], lines: Iterable[Iterable[Child]], label: str) -> Tree:
    """Return a table that scrolls by itself where it is long."""
    head = h("tr", (h("th", name, scope="col") for name in heads))
    body = [h("tr", [h("td", [cell]) for cell in line]) for line in lines]
    inside = h("table", h("thead", head), h("tbody", body))
    return h("div.sk-scroll", inside, tabindex="0", role="region", aria_label=label)


def to_html(tree: Child) -> str:
    """Return a tree as escaped HTML without scripts, styles or controls.

    >>> to_html(h("p", "<b>", h("i", "x")))
    '<p>&lt;b&gt;<i>x</i></p>'
    """
    if not isinstance(tree, list):
        return html.escape(str(tree))
    tag, _, children = tree
    return f"<{tag}>{''.join(map(to_html, children))}</{tag}>"

"""The panel's table: a page of rows with their controls, and one row in full."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from sharekit.core.actions import DECISIONS, OWNER_ACTIONS
from sharekit.core.html import visible
from sharekit.interfaces.review_filters import Page, Query
from sharekit.interfaces.review_rows import WORD

from .markup import cut, pager, project_of, visible_lines

#: Characters of a value that a row opened in full shows.
_LONG: Final = 1_000
_DECISIONS: Final = (
    ("", "as planned"),
    *((word, word) for word in (*DECISIONS, "skip")),
)
_AFTER: Final = {
    "accept": "accepted", "reject": "rejected", "share": "shared", "unshare": "not shared",
    "skip": "left as it is",
}  # fmt: skip
_HEADS: Final = (
    ("wanted", "Decision"), ("name", "Image"), ("before", "In the cloud"), ("state", "Row"),
    ("findings", "Findings, reason"), ("project_id", "Project, owner"),
)  # fmt: skip


def page(one: Page, query: Query, selected: Collection[int], opened: str, *, fixed: bool) -> str:
    """The table: one page of rows, with their boxes, lists and buttons.

    ``opened`` is the HTML of the row that is open in full, after a line with its key.
    """
    key_open, _, full = opened.partition("\n")
    keys = [int(key) for key in one.rows.index]
    on = sum(key in selected for key in keys)
    part = "checked" if keys and on == len(keys) else "data-some" if on else ""
    off = "disabled" if fixed else ""
    heads = "".join(_header(name, title, query) for name, title in _HEADS)
    lines = []
    for line in one.rows.reset_index().to_dict("records"):
        key = int(line["row_key"])
        lines.append(_line(line, key, key in selected, str(key) == key_open, off))
        if str(key) == key_open:
            lines.append(f'<tr><td class="sk-full" colspan="{len(_HEADS) + 2}">{full}</td></tr>')
    none = f'<tr><td colspan="{len(_HEADS) + 2}">No row matches these filters.</td></tr>'
    return (
        '<div class="sk-scroll" tabindex="0" role="region" aria-label="Rows of the plan">'
        '<table class="sk-rows"><thead><tr><th scope="col"><input type="checkbox" '
        f'data-do="page-select" data-id="all" aria-label="Select all rows of this page" '
        f"{part} {off}></th>{heads}"
        f'<th scope="col">Details</th></tr></thead><tbody>{"".join(lines) or none}</tbody></table>'
        f"</div>{pager(one, f', {len(selected):,} selected')}"
    )


def _header(name: str, title: str, query: Query) -> str:
    sort = "none"
    if query.sort == name:
        sort = "descending" if query.descending else "ascending"
    arrow = {"none": "↕", "ascending": "↑", "descending": "↓"}[sort]
    return (
        f'<th scope="col" aria-sort="{sort}"><button data-do="sort" data-key="{name}" '
        f'data-id="sort-{name}">{title} <span aria-hidden="true">{arrow}</span></button></th>'
    )


def _line(line: Mapping[Any, Any], key: int, on: bool, is_open: bool, off: str) -> str:  # noqa: FBT001
    name = cut(line["name"], 80) or "(no name)"
    label = f"row {line['row']}, {cut(line['name'] or line['image_id'], 60)}"
    changed = line["decision"] != "" or line["vault"] != ""
    mark = '<br><span class="sk-chip changed">decided</span>'
    return (
        f'<tr class="{"sk-on" if on else ""}" data-row="{key}">'
        f'<td><input type="checkbox" data-do="select" data-key="{key}" data-id="box-{key}" '
        f'aria-label="Select {label}" {"checked" if on else ""} {off}></td>'
        f"<td>{_decision(line, key, label, off)}</td>"
        f'<td>{name}<span class="sk-id">{cut(line["image_id"], 60)}</span></td>'
        f"<td>{_becomes(line)}{_vault(line)}</td>"
        f'<td><span class="sk-chip {visible(line["state"])}">{visible(line["state"])}</span>'
        f"{mark if changed else ''}</td>"
        f'<td><span class="sk-find">{cut(line["findings"])}</span>{_reason(line)}</td>'
        f"<td>{project_of(line['project_id'])}{project_of(line['owner'], 'owner ')}</td>"
        f'<td><button data-do="open" data-key="{key}" data-id="open-{key}" '
        f'aria-expanded="{str(is_open).lower()}" aria-label="Details of {label}">'
        f"{'Close' if is_open else 'Open'}</button></td></tr>"
    )


def _decision(line: Mapping[Any, Any], key: int, label: str, off: str) -> str:
    asked = WORD.get(str(line["asked"])) or cut(str(line["asked"]), 20) or "nothing"
    owner = asked in OWNER_ACTIONS
    side = [word for word, act in DECISIONS.items() if (act in OWNER_ACTIONS) == owner]
    options = "".join(
        f'<option value="{value}" {"selected" if line["decision"] == value else ""}>'
        f"{word if value else f'planned: {asked}'}</option>"
        for value, word in _DECISIONS
        if value in ("", "skip", *side, line["decision"])
    )
    return (
        f'<select data-do="decide" data-key="{key}" data-id="list-{key}" '
        f'aria-label="Decision for {label}" {off}>{options}</select>'
    )


def _becomes(line: Mapping[Any, Any]) -> str:
    before, wanted = cut(line["before"] or "not known"), str(line["wanted"])
    if line["state"] not in ("planned", "skipped"):
        return before
    after = _AFTER.get(wanted, "?")
    return (
        f'<span class="sk-was">{before}</span> <span class="sk-becomes {visible(wanted)}">'
        f"→ {after}</span>"
    )


def _vault(line: Mapping[Any, Any]) -> str:
    vault = str(line["vault"] or line["vault_id"])
    return (
        f'<span class="sk-id" title="{cut(vault)}">vault {visible(vault[:13])}…</span>'
        if vault
        else ""
    )


def _reason(line: Mapping[Any, Any]) -> str:
    return f'<span class="sk-find"><i>“{cut(line["reason"])}”</i></span>' if line["reason"] else ""


def full_row(facts: Mapping[str, Any]) -> str:
    """One row with all its original cells, its findings, and what will be sent for it."""
    told, request = facts["facts"], facts["request"]
    place = ", ".join(filter(None, (told["file"], told["sheet"], f"row {told['row']}")))
    cells = {"stands in": place, **facts["input"]}
    found = "".join(
        f"<li><b>{visible(f['rule'])}</b> {visible(f['cell'])}: {cut(f['message'])}. "
        f"{cut(f['suggestion'])}</li>"
        for f in facts["findings"]
    )
    sent = _request(request, told["image_id"]) if request else "<p>Nothing is sent for it.</p>"
    return (
        f'<div class="sk-two"><div><h3>In the workbook</h3>{_list(cells)}</div>'
        f"<div><h3>Findings</h3>{f'<ul>{found}</ul>' if found else '<p>None.</p>'}"
        f"<h3>What the plan sends</h3>{sent}</div></div>"
    )


def _list(values: Mapping[str, object]) -> str:
    lines = "".join(
        f"<dt>{cut(name, 80)}</dt><dd>{cut(value, _LONG)}</dd>" for name, value in values.items()
    )
    return f"<dl>{lines}</dl>"


def _request(request: Mapping[str, Any], image: str) -> str:
    body = dict(request["body"] or {})
    if len(body.get("images", ())) > 1:
        body["images"] = [image, f"… {len(body['images']) - 1} more in chunk {request['chunk']}"]
    text = f"{request['method']} {request['url']}"
    text += f"\n{json.dumps(body, indent=1, ensure_ascii=False)}" if body else ""
    return f'<pre tabindex="0" aria-label="Request">{visible_lines(text)}</pre>'

"""The table of the panel's first page: rows with their controls, and one row in full."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from sharekit.core.actions import DECISIONS, OWNER_ACTIONS
from sharekit.core.html import escape_html
from sharekit.interfaces.review_filters import Page, RowFilter
from sharekit.interfaces.review_rows import DECISION_OF_STATUS

from .markup import pager, project_of, truncate, visible_lines

#: Characters of a value that a row opened in full shows.
_LONG: Final = 1_000
_WORDS: Final = ("", *DECISIONS, "skip")
_AFTER: Final = {
    "accept": "accepted", "reject": "rejected", "share": "shared", "unshare": "not shared",
    "skip": "left as it is",
}  # fmt: skip
_HEADS: Final = (
    ("wanted", "Decision"), ("name", "Image"), ("before", "In the cloud"), ("state", "Row"),
    ("findings", "Findings, reason"), ("project_id", "Project, owner"),
)  # fmt: skip


def rows_table(
    page: Page, row_filter: RowFilter, selected: Collection[int], *,
    opened: int | None = None, details: str = "", fixed: bool = False,
) -> str:  # fmt: skip
    """Return the table: one page of rows, with their boxes, lists and buttons.

    ``opened`` is the key of the row that is open in full, and ``details`` its HTML; where the
    rows are ``fixed``, nothing can be decided.
    """
    keys = [int(key) for key in page.rows.index]
    count = sum(key in selected for key in keys)
    box = "checked" if keys and count == len(keys) else "data-some" if count else ""
    off = "disabled" if fixed else ""
    heads = "".join(_header(name, title, row_filter) for name, title in _HEADS)
    lines = []
    for key, record in zip(keys, page.rows.to_dict("records"), strict=True):
        lines.append(_line(record, key, on=key in selected, opened=key == opened, off=off))
        if key == opened:
            lines.append(f'<tr><td class="sk-full" colspan="{len(_HEADS) + 2}">{details}</td></tr>')
    none = f'<tr><td colspan="{len(_HEADS) + 2}">No row matches these filters.</td></tr>'
    return (
        '<div class="sk-scroll" tabindex="0" role="region" aria-label="Rows of the plan">'
        '<table class="sk-rows"><thead><tr><th scope="col"><input type="checkbox" '
        f'data-do="page-select" data-id="all" aria-label="Select all rows of this page" '
        f"{box} {off}></th>{heads}"
        f'<th scope="col">Details</th></tr></thead><tbody>{"".join(lines) or none}</tbody></table>'
        f"</div>{pager(page, f', {len(selected):,} selected')}"
    )


def _header(name: str, title: str, row_filter: RowFilter) -> str:
    sort = "none"
    if row_filter.sort == name:
        sort = "descending" if row_filter.descending else "ascending"
    arrow = {"none": "↕", "ascending": "↑", "descending": "↓"}[sort]
    return (
        f'<th scope="col" aria-sort="{sort}"><button data-do="sort" data-key="{name}" '
        f'data-id="sort-{name}">{title} <span aria-hidden="true">{arrow}</span></button></th>'
    )


def _line(line: Mapping[Any, Any], key: int, *, on: bool, opened: bool, off: str) -> str:
    name = truncate(line["name"], 80) or "(no name)"
    label = f"row {line['row']}, {truncate(line['name'] or line['image_id'], 60)}"
    changed = line["decision"] != "" or line["vault"] != ""
    mark = '<br><span class="sk-chip changed">decided</span>'
    return (
        f'<tr class="{"sk-on" if on else ""}" data-row="{key}">'
        f'<td><input type="checkbox" data-do="select" data-key="{key}" data-id="box-{key}" '
        f'aria-label="Select {label}" {"checked" if on else ""} {off}></td>'
        f"<td>{_decision(line, key, label, off)}</td>"
        f'<td>{name}<span class="sk-id">{truncate(line["image_id"], 60)}</span></td>'
        f"<td>{_becomes(line)}{_vault(line)}</td>"
        f'<td><span class="sk-chip {escape_html(line["state"])}">'
        f"{escape_html(line['state'])}</span>"
        f"{mark if changed else ''}</td>"
        f'<td><span class="sk-find">{truncate(line["findings"])}</span>{_reason(line)}</td>'
        f"<td>{project_of(line['project_id'])}{project_of(line['owner'], 'owner ')}</td>"
        f'<td><button data-do="open" data-key="{key}" data-id="open-{key}" '
        f'aria-expanded="{str(opened).lower()}" aria-label="Details of {label}">'
        f"{'Close' if opened else 'Open'}</button></td></tr>"
    )


def _decision(line: Mapping[Any, Any], key: int, label: str, off: str) -> str:
    asked = (
        DECISION_OF_STATUS.get(str(line["asked"])) or truncate(str(line["asked"]), 20) or "nothing"
    )
    owner = asked in OWNER_ACTIONS
    of_role = [word for word, action in DECISIONS.items() if (action in OWNER_ACTIONS) == owner]
    options = "".join(
        f'<option value="{value}" {"selected" if line["decision"] == value else ""}>'
        f"{value or f'planned: {asked}'}</option>"
        for value in _WORDS
        if value in ("", "skip", *of_role, line["decision"])
    )
    return (
        f'<select data-do="decide" data-key="{key}" data-id="list-{key}" '
        f'aria-label="Decision for {label}" {off}>{options}</select>'
    )


def _becomes(line: Mapping[Any, Any]) -> str:
    before, wanted = truncate(line["before"] or "not known"), str(line["wanted"])
    if line["state"] not in ("planned", "skipped"):
        return before
    after = _AFTER.get(wanted, "?")
    return (
        f'<span class="sk-was">{before}</span> <span class="sk-becomes {escape_html(wanted)}">'
        f"→ {after}</span>"
    )


def _vault(line: Mapping[Any, Any]) -> str:
    vault = str(line["vault"] or line["vault_id"])
    return (
        f'<span class="sk-id" title="{truncate(vault)}">vault {escape_html(vault[:13])}…</span>'
        if vault
        else ""
    )


def _reason(line: Mapping[Any, Any]) -> str:
    return (
        f'<span class="sk-find"><i>“{truncate(line["reason"])}”</i></span>'
        if line["reason"]
        else ""
    )


def row_details(facts: Mapping[str, Any]) -> str:
    """Return one row with all its original cells, its findings, and the request for it."""
    row, request = facts["facts"], facts["request"]
    source = ", ".join(filter(None, (row["file"], row["sheet"], f"row {row['row']}")))
    cells = {"stands in": source, **facts["input"]}
    findings = "".join(
        f"<li><b>{escape_html(f['rule'])}</b> {escape_html(f['cell'])}: {truncate(f['message'])}. "
        f"{truncate(f['suggestion'])}</li>"
        for f in facts["findings"]
    )
    sent = _request(request, row["image_id"]) if request else "<p>Nothing is sent for it.</p>"
    return (
        f'<div class="sk-two"><div><h3>In the workbook</h3>{_list(cells)}</div>'
        f"<div><h3>Findings</h3>{f'<ul>{findings}</ul>' if findings else '<p>None.</p>'}"
        f"<h3>What the plan sends</h3>{sent}</div></div>"
    )


def _list(values: Mapping[str, object]) -> str:
    lines = "".join(
        f"<dt>{truncate(name, 80)}</dt><dd>{truncate(value, _LONG)}</dd>"
        for name, value in values.items()
    )
    return f"<dl>{lines}</dl>"


def _request(request: Mapping[str, Any], image: str) -> str:
    body = dict(request["body"] or {})
    if len(body.get("images", ())) > 1:
        body["images"] = [image, f"… {len(body['images']) - 1} more in chunk {request['chunk']}"]
    text = f"{request['method']} {request['url']}"
    text += f"\n{json.dumps(body, indent=1, ensure_ascii=False)}" if body else ""
    return f'<pre tabindex="0" aria-label="Request">{visible_lines(text)}</pre>'

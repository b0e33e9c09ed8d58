"""The table of the panel's first page: rows with their controls, and one row in full."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from markupsafe import Markup

from sharekit.core.actions import DECISION_OF_ACTION, DECISIONS, OWNER_ACTIONS, SKIP
from sharekit.interfaces.review_filters import Page, RowFilter

from .markup import render

_BECOMES: Final = {
    "accept": "accepted", "reject": "rejected", "share": "shared", "unshare": "not shared",
    "skip": "left as it is", "pending": "pending",
}  # fmt: skip


def rows_table(
    page: Page, row_filter: RowFilter, selected: Collection[int], labels: Mapping[str, str], *,
    opened: int | None = None, details: str = "", fixed: bool = False, hidden: int = 0,
) -> Markup:  # fmt: skip
    """Return the table: one page of rows, with their boxes, lists and buttons.

    ``opened`` is the key of the row that is open in full, and ``details`` its HTML; where the
    rows are ``fixed``, nothing can be decided. ``hidden`` of the selected rows are not shown.
    ``labels`` are what projects are called.
    """
    keys, records = page.rows.index.tolist(), page.rows.to_dict("records")
    lines = [(key, line | _choices(line)) for key, line in zip(keys, records, strict=True)]
    return render(
        "rows",
        page=page,
        lines=lines,
        row_filter=row_filter,
        selected=selected,
        labels=labels,
        on_page=sum(key in selected for key in keys),
        opened=opened,
        details=details,
        fixed=fixed,
        hidden=hidden,
        becomes=_BECOMES,
    )


def _choices(line: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what a row is ``planned`` to be, and the decisions that its role can take."""
    planned = DECISION_OF_ACTION.get(line["asked"], line["asked"]) or "nothing"
    of_owner = planned in OWNER_ACTIONS
    words = [word for word, action in DECISIONS.items()
             if (action in OWNER_ACTIONS) == of_owner or word == line["decision"]]  # fmt: skip
    return {"planned": planned, "choices": ["", *words, SKIP]}


def row_details(facts: Mapping[str, Any]) -> Markup:
    """Return one row with all its original cells, its findings, and the request for it."""
    row, request = facts["facts"], facts["request"]
    return render(
        "row",
        row=row,
        cells=facts["input"],
        findings=facts["findings"],
        request=request and _request(request, row["image_id"]),
    )


def _request(request: Mapping[str, Any], image: str) -> str:
    body = dict(request["body"] or {})
    if len(body.get("images", ())) > 1:
        body["images"] = [image, f"… {len(body['images']) - 1} more in chunk {request['chunk']}"]
    text = f"{request['method']} {request['url']}"
    return f"{text}\n{json.dumps(body, indent=1, ensure_ascii=False)}" if body else text

"""What a step says that is given something else than what the step before made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sharekit
from sharekit.core.errors import SharekitError, UsageError
from sharekit.interfaces.review_frame import read_frame
from sharekit.plans.policies.standing import approve_policies, read_standing

SHARES = pd.DataFrame({"image_id": ["9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10"], "status": ["yes"]})
INVENTORY = sharekit.read_inventory(SHARES)
CALLS: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (sharekit.check, (SHARES,), "read_inventory"),
    (sharekit.check, ("shares.csv",), "read_inventory"),
    (sharekit.check, (INVENTORY, "otc"), "connect"),
    (sharekit.audit, (INVENTORY, ["otc"]), "connect"),
    (sharekit.audit, (SHARES, sharekit.Clouds({})), "read_inventory"),
    (sharekit.audit, (None, None), "connect"),
    (sharekit.plan, (SHARES, "x.ledger"), "sharekit.check"),
    (sharekit.plan, (INVENTORY, "x.ledger"), "sharekit.check"),
    (sharekit.review, (SHARES,), "sharekit.plan"),
    (sharekit.review, (sharekit.check(INVENTORY),), "sharekit.plan"),
    (sharekit.submit, (INVENTORY, None), "sharekit.plan"),
    (sharekit.submit, ("x.ledger", "otc"), "connect"),
    (sharekit.report, (SHARES, "x.csv"), "sharekit.plan"),
    (sharekit.status, (None,), "sharekit.plan"),
    (sharekit.verify, (None,), "sharekit.plan"),
    (sharekit.retry, (SHARES, "x.ledger"), "sharekit.plan"),
    (sharekit.undo, ("x.ledger", "y.ledger", "otc"), "connect"),
]


@pytest.mark.parametrize(("call", "given", "names"), CALLS)
def test_a_step_names_the_call_that_makes_what_it_needs(
    call: Callable[..., Any], given: tuple[Any, ...], names: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A value that another step has to make first is one sentence with that step's name."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=names):
        call(*given)
    assert not list(tmp_path.iterdir())


FINDINGS = sharekit.check(INVENTORY)
ARGUMENTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: sharekit.plan(FINDINGS, "x", planner=3), "a text for planner, and not 3"),
    (lambda: sharekit.plan(FINDINGS, "x", chunk_size=5.0), "a whole number for chunk_size, and"),
    (lambda: sharekit.plan(FINDINGS, "x", chunk_size=True), "for chunk_size, and not True"),
    (lambda: sharekit.plan(FINDINGS, "x", max_images="5"), "number or None for max_images, and"),
    (lambda: sharekit.plan(FINDINGS, None), "a text or a path for ledger, and not None"),
    (lambda: sharekit.plan(FINDINGS, "x\0"), "for ledger, and not"),
    (lambda: sharekit.plan("x", FINDINGS), "the Findings that sharekit.check"),
    (lambda: sharekit.approve("x", reviewer="A", fingerprint=None), "for fingerprint, and not"),
    (lambda: sharekit.approve("x", reviewer="A", fingerprint="0", note="\ud800"), "for note, and"),
    (lambda: sharekit.find(None), "find.. takes a text for thing, and not None"),
    (lambda: sharekit.find(INVENTORY, "x"), "for thing, and not a value of the type Inventory"),
    (lambda: sharekit.connect(["a"]), "a text for names, and not a value of the type list"),
    (lambda: sharekit.review("x", reviewer=5), "a text for reviewer, and not 5"),
    (lambda: sharekit.check(INVENTORY, progress="no"), "or a function for progress, and not 'no'"),
    (lambda: sharekit.check(INVENTORY, confirm=["a", 5]), "several texts for confirm, and not"),
    (lambda: sharekit.template(None), "template.. takes a text or a path for path, and not None"),
    (lambda: sharekit.verify("x", signers=5), "for signers, and not 5"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), ARGUMENTS)
def test_an_argument_of_another_type_is_one_sentence(
    call: Callable[[], Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the call, the argument, what is wanted and what was given; no file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        call()
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    """A whole number or a truth value of numpy is taken as Python's."""
    findings = sharekit.check(INVENTORY, strict=np.False_)  # type: ignore[arg-type]
    plan = sharekit.plan(findings, tmp_path / "x.ledger", chunk_size=np.int64(5))
    assert sharekit.verify(plan).intact


@pytest.mark.parametrize("name", sharekit.__all__)
def test_every_public_call_looks_at_its_arguments(name: str) -> None:
    """Each public function refuses an argument of a type of which nothing can be made."""
    call = getattr(sharekit, name)
    if isinstance(call, type):
        return
    parameters = inspect.signature(call).parameters.values()
    named = [one for one in parameters if one.kind is one.KEYWORD_ONLY and one.annotation != "Any"]
    needed = [None for one in parameters if one.default is one.empty and one not in named
              and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]  # fmt: skip
    needed_names = {one.name: "x" for one in named if one.default is one.empty}
    for one in named:
        with pytest.raises(SharekitError):
            call(*needed, **needed_names | {one.name: object()})
    if not named:
        with pytest.raises(SharekitError):
            call(*(object() for _ in needed))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["image_id"]}, "a text for each field"),
        ({"defaults": {"status": pd.Series(["yes"])}}, "one text for status"),
        ({"defaults": {"project_id": 5}}, "'5', is not a project ID"),
        ({"columns": {"image_id": 7}}, "7"),
    ],
)
def test_columns_and_defaults_are_texts(options: dict[str, Any], message: str) -> None:
    """A field's column or default that is no text is one sentence."""
    with pytest.raises(UsageError, match=message):
        sharekit.read_inventory(SHARES, **options)


def test_columns_may_be_called_by_numbers() -> None:
    """A DataFrame without headers is read by the numbers of its columns."""
    numbered = SHARES.set_axis([0, 1], axis="columns")
    columns: dict[str, Any] = {"image_id": 0, "status": 1}
    rows = sharekit.read_inventory(numbered, columns=columns).rows
    assert rows[["image_id", "status"]].to_numpy().tolist() == SHARES.to_numpy().tolist()


def test_labels_may_stand_in_a_column() -> None:
    """A table without an index names rows by a column that is called as the labels are."""
    rows = pd.DataFrame(
        {"asked": "accepted", "decision": "", "reason": "", "vault": "", "vault_id": ""},
        index=range(2),
        dtype="str",
    ).rename_axis("row_key")
    table = pd.DataFrame({"ticket": ["b"], "decision": ["skip"], "reason": ["old"]})
    labels = pd.Index(["a", "b"], name="ticket")
    step = read_frame(table, rows, labels, lambda: rows)
    assert step["decision"].to_dict() == {1: "skip"}
    with pytest.raises(UsageError, match="only count its own lines"):
        read_frame(table.drop(columns="ticket"), rows, labels, lambda: rows)


def test_a_share_without_an_id_is_no_row() -> None:
    """A frame that names shares and lacks an ID is refused, and no ID is called nan."""
    rows = pd.DataFrame(
        {"image_id": "a", "project_id": "b", "asked": "accepted", "decision": "", "reason": "",
         "vault": "", "vault_id": ""}, index=range(1),
    ).rename_axis("row_key")  # fmt: skip
    frame = pd.DataFrame({"image_id": ["a"], "project_id": [None], "decision": ["skip"]})
    with pytest.raises(UsageError, match="name every share"):
        read_frame(frame, rows, None, lambda: rows)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"until": 20990101}, "no day"),
        ({"until": None}, "no day"),
        ({"max_images": 5.5}, "whole number"),
        ({"max_images": "5"}, "whole number"),
        ({"reviewer": None}, "reviewer's name"),
        ({"policies": 5}, "sharekit.policy"),
    ],
)
def test_no_approval_ahead_of_other_types(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """An approval that could not be read again is refused, and no file is left of it."""
    policies = sharekit.policy("pending", before="pending", then="accept")
    options: dict[str, Any] = {"until": datetime(2099, 1, 1), "max_images": 5, "reviewer": "Ada"}
    given = approve_policies(policies, tmp_path / "ahead.json", **options)
    assert (given.until, read_standing(tmp_path / "ahead.json")) == ("2099-01-01", given)
    options |= {"policies": policies, "path": tmp_path / "other.json"} | changed
    with pytest.raises(SharekitError, match=message):
        approve_policies(**options)
    assert not (tmp_path / "other.json").exists()

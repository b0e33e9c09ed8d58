"""Names that a reader cannot tell apart are one person's: in approvals, sending and verifying."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from confusable_homoglyphs.confusables import confusables_data

import sharekit
from sharekit.core.errors import ApprovalError, UsageError
from sharekit.core.provenance import distinct_people, looks, name_error
from sharekit.plans.approval import ApprovalRequirement
from tests.conftest import FAST, World

ALIKE = [
    "ada lovelace", "ADA LOVELACE", " Ada  Lovelace", "Ada\N{NO-BREAK SPACE}Lovelace",
    "\N{CYRILLIC CAPITAL LETTER A}da Lovelace", "Ad\N{GREEK SMALL LETTER ALPHA} Lovelace",
    "\N{FULLWIDTH LATIN CAPITAL LETTER A}da Lovelace", "Ada Love1ace", "Ada LoveIace",
    "Ada-Lovelace",    "Ada\N{ZERO WIDTH SPACE} Lovelace", "Ada\N{SOFT HYPHEN} Lovelace",
    "Ad\N{COMBINING GRAPHEME JOINER}a Lovelace",
    "Ada L\N{LATIN SMALL LETTER O WITH DIAERESIS}velace",
    "\N{MATHEMATICAL BOLD CAPITAL A}da Lovelace",
    "Ada Lovelace\N{HANGUL FILLER}", "Ada\N{RIGHT-TO-LEFT OVERRIDE} Lovelace",
    "Ada Lovelace\N{TAG SPACE}",
    "\N{CHEROKEE LETTER GO}da Lovelace", "Ada Lovelace.", "Ada L0velace",
    "Ad\N{LATIN LETTER SMALL CAPITAL A} Lovelace", "Ad\N{CIRCLED LATIN SMALL LETTER A} Lovelace",
    "\N{LATIN LETTER SMALL CAPITAL A}\N{LATIN LETTER SMALL CAPITAL D}a Lovelace",
    "\N{NEGATIVE SQUARED LATIN CAPITAL LETTER A}da Lovelace",
    "Ad\N{MODIFIER LETTER SMALL A} Lovelace", "\N{REGIONAL INDICATOR SYMBOL LETTER A}da Lovelace",
    "Ad\N{LATIN SUBSCRIPT SMALL LETTER A} Lovelace", "A\N{COMBINING ENCLOSING CIRCLE}da Lovelace",
    "Ad\N{LATIN SMALL LETTER A WITH STROKE} Lovelace",
    "Ada Lo\N{CYRILLIC SMALL LETTER IZHITSA}elace",
    "A\N{LATIN SMALL LETTER D WITH HOOK}a Lovelace",
    "Ada \N{CYRILLIC SMALL LETTER PALOCHKA}ovelace",
    "Ada Love\N{DINGBAT NEGATIVE CIRCLED DIGIT ONE}ace", "Ada\N{ARABIC TATWEEL} Lovelace",
    "Ada\N{ACUTE ACCENT} Lovelace",
]  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_look_alike_names_are_one_person(name: str) -> None:
    """A name that looks like another's is the same person's; one that can be told apart is not."""
    assert distinct_people(["Ada Lovelace", name]) == ["Ada Lovelace"]
    assert distinct_people(["Ida Lovelace", "Ada Lovelace"]) == ["Ida Lovelace", "Ada Lovelace"]


def test_names_of_others_stay_apart() -> None:
    """Other names, in Latin or any other script, are other people's."""
    people = "Ali All Mia Mla Strauß Straub Müller Mueller Þóra Pora Иван Петр".split()
    people += "李 王 佐々木 佐木 あい いあ محمد أحمد".split()
    assert distinct_people(people) == people


def test_whatever_unicode_calls_confusable_looks_alike() -> None:
    """Every letter of Unicode's list of confusable characters reads as what it is listed with."""
    missed = [
        (text, other)
        for text, entries in confusables_data.items()
        for other in (entry["c"] for entry in entries)
        if all(unicodedata.category(c)[0] in "LN" for c in (text + other).replace("\u200e", ""))
        and "HEBREW" not in unicodedata.name(text.strip("\u200e")[0])  # points below and within
        and not looks(text) & looks(other)
    ]
    assert missed == []


@pytest.mark.parametrize("name", ["Ada\u200b", "\u3164", "...", "\u202eadA", "Ada\x00", "\ue000"])
def test_a_name_that_hides_something_is_refused(name: str, world: Callable[..., World]) -> None:
    """Who plans, decides or approves has a name that can be read; another is refused, and why."""
    plan = world(rows=6).plan()
    assert name_error(name)
    with pytest.raises(ApprovalError, match=r"see|names nobody"):
        sharekit.approve(plan, reviewer=name, fingerprint=plan.fingerprint)
    with pytest.raises(UsageError, match=r"see|names nobody"):
        sharekit.plan(plan.findings, plan.path.with_name("two.ledger"), planner=name)


def test_look_alikes_neither_add_up_nor_approve_their_own_plan(world: Callable[..., World]) -> None:
    """Approvals under look-alike names are one reviewer's; a planner's look-alike is refused."""
    w = world(rows=6)
    plan = sharekit.plan(
        sharekit.check(sharekit.read_inventory(w.shares), w.connect()),
        w.folder / "run.ledger", planner="Eve",
    )  # fmt: skip
    with pytest.raises(ApprovalError, match="somebody else"):
        sharekit.approve(
            plan, reviewer="\N{CYRILLIC CAPITAL LETTER IE}ve", fingerprint=plan.fingerprint
        )
    for name in ("Ada", "Ad\N{CYRILLIC SMALL LETTER A}", "ADA"):
        sharekit.approve(plan, reviewer=name, fingerprint=plan.fingerprint)
    two = ApprovalRequirement(reviewers=2)
    with pytest.raises(ApprovalError, match="1 more reviewer"):
        sharekit.submit(plan, w.connect(), settings=FAST, demand=two)
    sharekit.approve(plan, reviewer="Bob", fingerprint=plan.fingerprint)
    assert sharekit.submit(plan, w.connect(), settings=FAST, demand=two).finished

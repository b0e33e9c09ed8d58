"""Headers and words of people's languages, repeated headers, states beside decisions."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

import pytest
from openpyxl import Workbook

import sharekit
from sharekit.core.errors import SpreadsheetError
from sharekit.core.fields import FIELDS
from sharekit.plans.decisions import decide, replan
from sharekit.spreadsheets.headers import match, normalize
from sharekit.spreadsheets.vocabulary import (
    FALSE_WORDS,
    LANGUAGES,
    PENDING_WORDS,
    STATUS_WORDS,
    TRUE_WORDS,
    headers_of,
    spellings,
    split_words,
)

IMAGE = "9afbc1d2-7e07-4a3d-9c1b-2f0a6f3f5a10"
OTHER = "0d7f9c52-3b1e-4f86-9d55-8a2f4c6e1b03"
PROJECT = "edc89b490d7d4392898e19b2deb34797"
#: One honest list of shares in each language: headers of the eight fields, and two decisions.
LISTS = {
    "English": (
        "Image ID;Project ID;Decision;Vault ID;Whole image;Region;Image name;Owner",
        ("accepted", "rejected", "yes"),
    ),
    "German": (
        "Image-ID;Projekt-ID;Entscheidung;Tresor-ID;Vollständiges Image;Region;Image-Name;"
        "Eigentümer",
        ("angenommen", "Abgelehnt", "ja"),
    ),
    "French": (
        "ID de l'image;ID du projet;Décision;ID du coffre;Image complète;Région;Nom de l'image;"
        "Propriétaire",
        ("Accepté", "refusé", "oui"),
    ),
    "Spanish": (
        "ID de la imagen;ID del proyecto;Decisión;ID de la bóveda;Imagen completa;Región;"
        "Nombre de la imagen;Propietario",
        ("aceptado", "RECHAZADO", "sí"),
    ),
    "Chinese": (
        "镜像ID;项目ID;决定;存储库ID;整机镜像;区域;镜像名称;所有者",
        ("接受", "拒绝", "是"),
    ),
}


def write(path: Path, *lines: str) -> Path:
    """Write a csv file."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def planned(path: Path, **reading: object) -> list[str]:
    """The decision planned for each row, or what else becomes of it."""
    rows = sharekit.check(sharekit.read_inventory(path, **reading)).rows  # type: ignore[arg-type]
    return rows["status"].where(rows["disposition"] == "planned", rows["disposition"]).tolist()


@pytest.mark.parametrize("language", LISTS)
def test_lists_in_peoples_languages(tmp_path: Path, language: str) -> None:
    """A list with headers and decisions of one language is planned as it reads."""
    header, (yes, no, whole) = LISTS[language]
    names = header.split(";")
    path = write(
        tmp_path / "shares.csv",
        header,
        f"{IMAGE};{PROJECT};{yes};{OTHER};{whole};eu-de;golden;{PROJECT[::-1]}",
        f"{OTHER};{PROJECT};{no};;;eu-de;golden;{PROJECT[::-1]}",
    )
    inventory = sharekit.read_inventory(path)
    assert list(inventory.sources[0].columns.items()) == list(zip(FIELDS, names, strict=True))
    findings = sharekit.check(inventory)
    assert findings.rows["status"].tolist() == ["accepted", "rejected"]
    assert findings.rows["whole_image"].tolist() == ["true", ""]
    assert findings.rows["disposition"].tolist() == ["planned", "planned"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_header_is_known(language: str, field: str) -> None:
    """Each header of the table means its field, in any case and without its accents."""
    assert language in LISTS, "a new language needs a list of its own here"
    for header in split_words(LANGUAGES[language].headers.get(field, "")):
        for spelling in spellings(header):
            assert match([spelling.upper()], {}) == {field: 0}
            assert match([f"{spelling} *"], {}) == {field: 0}


def test_no_header_means_two_fields() -> None:
    """A header belongs to one field in all languages."""
    fields = defaultdict(set)
    for field in FIELDS:
        clear, vague = headers_of(field)
        for header in [*clear, *vague]:
            for spelling in spellings(header):
                fields[normalize(spelling)].add(field)
    assert [key for key, several in fields.items() if len(several) > 1] == []


def test_no_word_means_two_things() -> None:
    """A decision word stands for one action in all languages; yes is never no."""
    actions = defaultdict(set)
    for language in LANGUAGES.values():
        for action, words in language.decisions.items():
            for word in split_words(words):
                for spelling in spellings(word):
                    actions[spelling].add(action)
    assert [word for word, several in actions.items() if len(several) > 1] == []
    assert not TRUE_WORDS & FALSE_WORDS
    assert not PENDING_WORDS & STATUS_WORDS.keys()
    assert {word: STATUS_WORDS[word] for word in ("是", "否", "ja", "nein", "sí", "non")} == {
        "是": "accepted",
        "否": "rejected",
        "ja": "accepted",
        "nein": "rejected",
        "sí": "accepted",
        "non": "rejected",
    }


def test_decomposed_accents_are_the_same_word(tmp_path: Path) -> None:
    """What a Mac writes as a letter and an accent is the same word."""
    path = write(
        tmp_path / "shares.csv",
        "Image ID,Project ID,De\u0301cision",
        f"{IMAGE},{PROJECT},refuse\u0301",
    )
    assert planned(path) == ["rejected"]


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("Decision (accepted / rejected)", {"status": 0}),
        ("Status (accepted or rejected)", {"status": 0}),
        ("Entscheidung [angenommen/abgelehnt]", {"status": 0}),
        ("决定（接受／拒绝）", {"status": 0}),
        ("Project ID (target)", {"project_id": 0}),
        ("Project ID (32 hex digits)", {"project_id": 0}),
        ("Image ID (UUID, required)", {"image_id": 0}),
        ("Project (ID)", {"project_id": 0}),
        # a remark that makes it something else
        ("Project ID (source)", {"owner": 0}),
        ("Project (owner)", {"owner": 0}),
        ("Projekt-ID (Eigentümer)", {"owner": 0}),
        ("Project (name)", {}),
        ("Status (current)", {}),
        ("Status (as of Monday)", {}),
        ("Decision (old)", {}),
        ("Image ID (example)", {}),
    ],
)
def test_remarks_in_brackets(header: str, fields: dict[str, int]) -> None:
    """A remark in brackets is left out, unless it makes the header mean something else."""
    assert match([header], {}) == fields


def test_source_and_target_in_brackets() -> None:
    """Two projects told apart by remarks are the target and the owner."""
    names = ["Image ID", "Project ID (source)", "Project ID (target)", "Decision"]
    assert match(names, {}) == {"image_id": 0, "project_id": 2, "status": 3, "owner": 1}


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    """Write a workbook with these sheets."""
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        page = book.create_sheet(name.replace("_", " "))
        for row in rows:
            page.append(row)
    book.save(path)
    return path


SHARES: list[list[object]] = [
    ["Image ID", "Project ID", "Decision"],
    [IMAGE, PROJECT, "accepted"],
    [OTHER, PROJECT, "rejected"],
]
#: Sheets that stand beside a list of shares and are none.
OTHER_SHEETS: dict[str, list[list[object]]] = {
    "Projects": [["ID", "Name", "Contact"], [PROJECT, "payments", "team@example.com"]],
    "Change_log": [["ID", "Date", "What"], [1, "2026-11-01", "added"], [2, "2026-11-02", "added"]],
    "Legend": [
        ["Column", "Meaning"],
        ["Image ID", "UUID of the image"],
        ["Project ID", "the project that gets it"],
        ["Decision", "accepted or rejected"],
    ],
    "Servers": [
        ["Server", "Image", "Project", "Status"],
        ["web-01", "ubuntu-22.04", "payments", "ACTIVE"],
    ],
    "Images": [["ID", "Name", "Status"], [IMAGE, "golden", "active"], [OTHER, "web", "active"]],
    "Flavors": [["Kennung", "Name"], ["m1.small", "klein"]],
    "Volumes": [["ID", "Name", "Project", "Status"], [OTHER, "data", PROJECT, "in-use"]],
    "How_to": [["Image ID", "Project ID", "Decision"], ["a UUID", "32 digits", "what you decide"]],
}


def test_lists_of_other_things_are_left_out(tmp_path: Path) -> None:
    """Look-up sheets beside a list of shares are no shares; they are listed once."""
    path = workbook(tmp_path / "shares.xlsx", Shares=SHARES, **OTHER_SHEETS)
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.rows["disposition"].tolist() == ["planned", "planned"]
    assert findings.frame[["severity", "rule", "value"]].to_numpy().tolist() == [
        ["info", "sheet-without-header", ", ".join(OTHER_SHEETS).replace("_", " ")]
    ]


@pytest.mark.parametrize("name", OTHER_SHEETS)
def test_a_sheet_that_is_named_is_read(tmp_path: Path, name: str) -> None:
    """Whoever names a sheet, or has no other, is told what is wrong with it."""
    path = workbook(tmp_path / "shares.xlsx", Shares=SHARES, **{name: OTHER_SHEETS[name]})
    title = name.replace("_", " ")
    assert sharekit.check(sharekit.read_inventory(path, sheet=title)).count("error")
    alone = workbook(tmp_path / "alone.xlsx", **{name: OTHER_SHEETS[name]})
    assert sharekit.check(sharekit.read_inventory(alone)).count("error")


@pytest.mark.parametrize(
    "header",
    [
        ["ID", "Project", "Status"],
        ["UUID", "Projekt", "Entscheidung"],
        ["Image", "Member", "Verdict"],
    ],
)
def test_a_vague_header_over_shares_counts(tmp_path: Path, header: list[object]) -> None:
    """A second list of shares under short headers is read like the first one."""
    second = [header, [OTHER, PROJECT[::-1], "rejected"], ["spoilt", PROJECT, "accepted"]]
    path = workbook(tmp_path / "shares.xlsx", Shares=SHARES[:2], More=second)
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.rows["disposition"].tolist() == ["planned", "planned", "blocked"]


def test_image_ids_that_are_left_out_are_a_warning(tmp_path: Path) -> None:
    """Image IDs under a clear header, with neither project nor decision, do not go unseen."""
    images = [["Image ID", "OS"], [IMAGE, "Linux"]]
    path = workbook(tmp_path / "shares.xlsx", Shares=SHARES, Images=images)
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.frame[["severity", "rule", "value"]].to_numpy().tolist() == [
        ["warning", "sheet-skipped", "Images A2"]
    ]


def test_a_state_beside_a_decision_is_none(tmp_path: Path) -> None:
    """A state beside a decision, whatever both are called, is no other decision."""
    for decision in ("Decision", "New status", "Target status", "Verdict", "Entscheidung"):
        for state in ("Status", "Member Status", "Statut"):
            path = write(
                tmp_path / "members.csv",
                f"Image ID,Member ID,{state},{decision}",
                f"{IMAGE},{PROJECT},pending,accepted",
                f"{OTHER},{PROJECT},accepted,rejected",
            )
            findings = sharekit.check(sharekit.read_inventory(path))
            assert findings.frame.empty
            assert findings.rows["status"].tolist() == ["accepted", "rejected"]


def test_a_demand_under_status_is_a_decision(tmp_path: Path) -> None:
    """The word "reject" describes no state, so beside another decision it is an error."""
    path = write(
        tmp_path / "members.csv",
        "Image ID,Project ID,Status,Decision",
        f"{IMAGE},{PROJECT},reject,accepted",
        f"{OTHER},{PROJECT},accept,accepted",
    )
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.frame[["rule", "value"]].to_numpy().tolist() == [
        ["columns-disagree", "Status: reject"]
    ]


@pytest.mark.parametrize("second", ["Status", "Status2", "Status (2)", "status.1", "Status_2"])
def test_two_columns_of_one_name(tmp_path: Path, second: str) -> None:
    """The second column of a name is found; it decides where the first one shows states."""
    path = write(
        tmp_path / "members.csv",
        f"Image ID,Project ID,Status,{second}",
        f"{IMAGE},{PROJECT},pending,accepted",
        f"{OTHER},{PROJECT},accepted,rejected",
    )
    assert planned(path) == ["accepted", "rejected"]
    path = write(
        tmp_path / "swapped.csv",
        f"Image ID,Project ID,Status,{second}",
        f"{IMAGE},{PROJECT},accepted,pending",
        f"{OTHER},{PROJECT},rejected,accepted",
    )
    assert planned(path) == ["accepted", "rejected"]
    path = write(
        tmp_path / "unclear.csv",
        f"Image ID,Project ID,Status,{second}",
        f"{IMAGE},{PROJECT},accepted,accepted",
        f"{OTHER},{PROJECT},rejected,accepted",
    )
    assert planned(path) == ["accepted", "blocked"]


@pytest.mark.parametrize(
    ("used", "other", "alarm"),
    [
        ("Decision", "Revised decision", True),
        ("Entscheidung", "Entscheidung des Vorstands", True),
        ("Status", "Proposed status", True),
        ("Status", "Approved status", True),
        ("Status", "Proposed", True),
        ("Status", "Result", True),
        ("Status", "Change to", True),
        ("Status", "First answer", False),
        ("Status", "claimed", False),
        ("Decision", "Proposed decision", False),
        ("Decision", "Previous decision", False),
        ("Decision", "What the owner says", False),
        ("Status", "Status (before)", False),
        ("决定", "旧决定", False),
    ],
)
def test_another_column_of_decisions_is_no_remark(
    tmp_path: Path, used: str, other: str, alarm: bool
) -> None:
    """Where two columns hold decisions and say different things, nothing is guessed."""
    file = write(
        tmp_path / "a.csv",
        f"Image ID;Project ID;{used};{other}",
        f"{IMAGE};{PROJECT};accepted;rejected",
        f"{OTHER};{PROJECT};rejected;rejected",
    )
    findings = sharekit.check(sharekit.read_inventory(file))
    assert findings.rows["disposition"].tolist() == ["blocked" if alarm else "planned", "planned"]
    assert ("columns-disagree" in set(findings.frame["rule"])) == alarm


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Status alt;Status neu", "abgelehnt;angenommen"), ("Status neu", "accepted"),
        ("status;status_new", "reject;accept"), ("decision;new_decision", "rejected;accepted"),
        ("Decision;Final decision", "rejected;accepted"), ("IST;SOLL", "rejected;accepted"),
        ("As is;To be", "rejected;accepted"), ("Freigabe", "ja"),
        ("Status;Freigabe", "rejected;ja"),
        ("Freigabe neu;Freigabe alt", "ja;nein"), ("Status;Decision (Board)", "rejected;accepted"),
        ("Status;Decision (v2)", "rejected;accepted"), ("状态;新状态", "拒绝;接受"),
        ("État actuel;État cible", "refusé;accepté"), ("estado;estado nuevo", "rechazado;aceptado"),
        (f"Status;Decision ({time.gmtime().tm_year})", "rejected;accepted"),
        ("Status;Decision (old)", "accepted;rejected"), ("Decision;Veto", "accepted;no"),
        ("Decision;Public;No", "accepted;no;1"), ("Decision;Revised", "accepted;no"),
    ],
)  # fmt: skip
def test_the_clearly_newer_column_decides(tmp_path: Path, header: str, words: str) -> None:
    """Beside a state or an earlier decision the new, the wanted or the final one is planned."""
    file = write(tmp_path / "a.csv", f"Image ID;Project ID;{header}", f"{IMAGE};{PROJECT};{words}")
    findings = sharekit.check(sharekit.read_inventory(file))
    assert findings.rows["status"].tolist() == ["accepted"]
    assert set(findings.frame["rule"]) <= {"repaired-status"}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Status;Decision (draft)", "accepted;rejected"),
        ("Status;Decision (example)", "accepted;no"),
        ("Status;Decision (cancelled)", "accepted;rejected"),
        ("Status;Entscheidung (Entwurf)", "accepted;abgelehnt"),
        ("Decision;Approved", "accepted;no"),
        ("Decision;Cancelled?", "accepted;yes"), ("Decision;Veto", "share;x"),
        ("Entscheidung;Genehmigt", "angenommen;nein"), ("Décision;Annulé", "accepté;oui"),
        ("Decision;Deleted", "accepted;TRUE"),
        ("Decision;Not approved", "accepted;yes"), ("Decision;Cancelled on", "accepted;2026-01-02"),
        ("Decision;Approval", "accepted;no"), ("Decision;Do not send", "accepted;x"),
        ("Decision;Override", "accepted;rejected"), ("Decision;Approved by CISO", "accepted;no"),
        ("Entscheidung;Ignorieren", "angenommen;x"), ("Decision;Draft", "accepted;yes"),
        ("Decision;Confirmed", "accepted;no"), ("Entscheidung;Veraltet", "angenommen;ja"),
        ("Decision;Do not send", "rejected;x"), ("Decision;Cancelled", "rejected;yes"),
        ("Entscheidung;Gültig", "abgelehnt;nein"), ("决定;忽略", "拒绝;是"),
        ("Décision;À ignorer", "accepté;oui"),
        ("Decision;Reject", "accepted;x"), ("Decision;Valid", "accepted;no"),
        ("Entscheidung;Senden?", "angenommen;nein"), ("Décision;Objections", "accepté;oui"),
    ],
)  # fmt: skip
def test_a_column_that_says_no_beside_acceptance(tmp_path: Path, header: str, words: str) -> None:
    """A draft beside what may be a state, and a yes or no that speaks against it, is an error; so
    is one that speaks against sending anything beside a rejection.
    """  # noqa: D205
    file = write(tmp_path / "a.csv", f"Image ID;Project ID;{header}", f"{IMAGE};{PROJECT};{words}")
    findings = sharekit.check(sharekit.read_inventory(file))
    assert findings.rows["disposition"].tolist() == ["blocked"]
    assert "columns-disagree" in set(findings.frame["rule"])
    named = {"status": header.partition(";")[0]}
    findings = sharekit.check(sharekit.read_inventory(file, columns=named))
    assert "columns-disagree" not in set(findings.frame["rule"])


@pytest.mark.parametrize("header", ["Objections", "Veto", "Deleted", "Reject", "Ausgeschlossen"])
def test_what_goes_with_a_rejection_is_no_contradiction(tmp_path: Path, header: str) -> None:
    """A yes to an objection, or to a deletion, stands beside a rejection without an error."""
    file = write(
        tmp_path / "a.csv",
        f"Image ID;Project ID;Decision;{header}",
        f"{IMAGE};{PROJECT};rejected;yes",
    )
    findings = sharekit.check(sharekit.read_inventory(file))
    assert findings.rows["disposition"].tolist() == ["planned"]


def test_several_columns_that_disagree_are_one_finding(tmp_path: Path) -> None:
    """Three columns of decisions of which two say something else are one error of the row."""
    file = write(
        tmp_path / "a.csv",
        "Image ID;Project ID;Decision;Decision;Revised decision",
        f"{IMAGE};{PROJECT};accepted;rejected;rejected",
    )
    findings = sharekit.check(sharekit.read_inventory(file))
    assert findings.frame[["rule", "value"]].to_numpy().tolist() == [
        ["columns-disagree", "Decision (2): rejected, Revised decision: rejected"]
    ]


def test_a_default_overrules_no_decision_that_stands_beside(tmp_path: Path) -> None:
    """A decision for all rows is not sent for one beside which the opposite stands."""
    file = write(
        tmp_path / "a.csv",
        "Image ID;Project ID;Result",
        f"{IMAGE};{PROJECT};accepted",
        f"{OTHER};{PROJECT};rejected",
    )
    inventory = sharekit.read_inventory(file, defaults={"status": "accepted"})
    assert sharekit.check(inventory).rows["disposition"].tolist() == ["planned", "blocked"]


@pytest.mark.parametrize("header", ["Decision (reject)", "Entscheidung (ablehnen?)"])
def test_yes_to_a_rejection_is_no_acceptance(tmp_path: Path, header: str) -> None:
    """A header that asks for one thing only turns yes and no around, so it is not guessed."""
    file = write(tmp_path / "a.csv", f"Image ID;Project ID;{header}", f"{IMAGE};{PROJECT};yes")
    findings = sharekit.check(sharekit.read_inventory(file))
    assert findings.rows["disposition"].tolist() == ["blocked"]


def test_a_missing_column_names_the_headers_there_are(tmp_path: Path) -> None:
    """The message for a header that is not known lists the headers, and the nearest one."""
    path = write(tmp_path / "shares.csv", "Image ID,Projekct ID,Decison", f"{IMAGE},{PROJECT},yes")
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.frame["message"].tolist() == [
        f"there is no column for {field} "
        f"(the headers are Image ID, Projekct ID, Decison; {nearest} is nearest)"
        for field, nearest in (("project_id", "Projekct ID"), ("status", "Decison"))
    ]


#: A listing of our own (the columns that matter), and what the tools of OpenStack print.
LISTINGS = {
    "ours": (
        "image_id,project_id,status,vault_id,seen as,last decided",
        f"{IMAGE},{PROJECT},accepted,,pending,",
        f"{OTHER},{PROJECT},,,pending,",
        f"{OTHER},{PROJECT[::-1]},,,pending,",
    ),
    "openstack": (
        "Image ID,Member ID,Status,Decision",
        f"{IMAGE},{PROJECT},pending,accepted",
        f"{OTHER},{PROJECT},accepted,",
        f"{OTHER},{PROJECT[::-1]},pending,",
    ),
}


@pytest.mark.parametrize("listing", LISTINGS)
def test_undecided_rows_of_a_listing(tmp_path: Path, listing: str) -> None:
    """What nobody has decided in a listing is left as it is, which is said once."""
    inventory = sharekit.read_inventory(write(tmp_path / "shares.csv", *LISTINGS[listing]))
    findings = sharekit.check(inventory)
    assert findings.rows["disposition"].tolist() == ["planned", "skipped", "skipped"]
    assert findings.frame[["severity", "rule", "value"]].to_numpy().tolist() == [
        ["info", "not-decided", "rows 3, 4"]
    ]
    plan = sharekit.plan(findings, tmp_path / "run.ledger")
    rows = sharekit.status(plan.path).rows
    assert rows["outcome"].tolist() == ["pending", "skipped", "skipped"]
    assert rows["reason"].str.startswith("not decided").tolist() == [False, True, True]
    sharekit.review(plan, reviewer="Bob").decide([2], "skip", reason="ask again")
    rows = sharekit.status(plan).rows
    assert rows["reason"].tolist()[2] == "left out in the review by Bob: ask again"
    assert rows["code"].tolist() == ["", "not-decided", ""]


def test_a_reviewer_decides_what_the_listing_left_open(tmp_path: Path) -> None:
    """Whoever decides on an undecided row gets it planned."""
    inventory = sharekit.read_inventory(write(tmp_path / "shares.csv", *LISTINGS["ours"]))
    plan = sharekit.plan(sharekit.check(inventory), tmp_path / "run.ledger")
    decide(plan.path, [2], decision="reject", reason="nobody uses it", reviewer="Ada")
    rows = replan(plan.path).rows
    assert rows["disposition"].tolist() == ["planned", "skipped", "planned"]
    assert rows["status"].tolist() == ["accepted", "", "rejected"]


def test_an_empty_decision_elsewhere_is_an_error(tmp_path: Path) -> None:
    """A list without states was made to be decided, so an empty cell was forgotten."""
    header, *rows = LISTINGS["ours"]
    path = write(tmp_path / "shares.csv", header.replace("seen as", "remark"), *rows)
    assert planned(path) == ["accepted", "blocked", "blocked"]


def found(path: Path) -> list[tuple[str, str, str]]:
    """Rule, cell and message of every error and repair."""
    frame = sharekit.check(sharekit.read_inventory(path)).frame
    frame = frame[frame["severity"].isin(["error", "repair"])]
    return list(frame[["rule", "cell", "message"]].itertuples(index=False, name=None))


def test_digits_of_a_project_are_no_image(tmp_path: Path) -> None:
    """What another cell names as a project or an owner does not get the dashes of an image ID."""
    bare, owner = OTHER.replace("-", ""), PROJECT[::-1]
    path = write(
        tmp_path / "shares.csv",
        "Image ID,Project ID,Decision,Vault ID,Owner",
        f"{bare},{PROJECT},accepted,,{owner}",
        f"{PROJECT},{owner},accepted,,",
        f'"{{{owner.upper()}}}",{PROJECT},accepted,,',
        f"{IMAGE},{PROJECT},accepted,{PROJECT},",
    )
    message = "not an image ID: 8-4-4-4-12 hexadecimal digits (it is the ID of a project)"
    assert found(path) == [
        ("repaired-dashes", "A2", "dashes corrected to the API's format"),
        ("image-id-format", "A3", message),
        ("image-id-format", "A4", message),
        ("vault-id-format", "D5", message.replace("an image", "a vault")),
    ]


def test_an_image_is_no_project(tmp_path: Path) -> None:
    """An image's ID in the column of projects does not lose its dashes to become a project's."""
    path = write(
        tmp_path / "shares.csv",
        "Image ID,Project ID,Decision",
        f"{IMAGE},{OTHER},share",
        f"{OTHER},{PROJECT},share",
    )
    message = "not a project ID: 32 hexadecimal digits (it is the ID of an image)"
    assert found(path)[0] == ("project-id-format", "B2", message)


def test_digits_under_a_vague_header_are_no_image(tmp_path: Path) -> None:
    """Under a header such as ID, 32 digits may be anything's; --map says what they are."""
    bare = OTHER.replace("-", "")
    lines = [f"{IMAGE},{PROJECT},accepted", f"{bare},{PROJECT},accepted"]
    path = write(tmp_path / "shares.csv", "ID,Project ID,Decision", *lines)
    ((rule, cell, message),) = found(path)
    assert (rule, cell) == ("image-id-format", "A3")
    assert "the header does not say that it is an image's" in message
    assert planned(path, columns={"image_id": "ID"}) == ["accepted", "accepted"]


def test_swapped_ids_are_still_called_swapped(tmp_path: Path) -> None:
    """Two IDs in each other's cell are one error, though both are known from other rows."""
    path = write(
        tmp_path / "shares.csv",
        "Image ID,Project ID,Decision",
        f"{IMAGE},{PROJECT},accepted",
        f"{PROJECT},{IMAGE},accepted",
    )
    assert [(rule, cell) for rule, cell, _ in found(path)] == [("ids-swapped", "A3")]


def test_an_unknown_header_of_images_is_named_as_the_nearest(tmp_path: Path) -> None:
    """Without any header of image IDs, the message names the one that is nearest."""
    path = write(tmp_path / "shares.csv", "Imge ID,Project ID,Decision", f"{IMAGE},{PROJECT},yes")
    with pytest.raises(SpreadsheetError) as caught:
        sharekit.read_inventory(path)
    message = str(caught.value)
    assert "its first row reads Imge ID, Project ID, Decision" in message
    assert 'The header nearest to image_id is "Imge ID".' in message


def test_an_empty_column_of_decisions_is_an_error(tmp_path: Path) -> None:
    """Where no row is decided at all, the decisions may stand elsewhere, so nothing is skipped."""
    header, *rows = LISTINGS["openstack"]
    path = write(tmp_path / "shares.csv", header, *(row.replace(",accepted", ",") for row in rows))
    assert planned(path) == ["blocked"] * 3


def test_a_sheet_of_spoilt_ids_is_not_left_out(tmp_path: Path) -> None:
    """IDs that a spreadsheet has damaged are still meant as shares."""
    spoilt: list[list[object]] = [["Image ID", "Project ID", "Decision"], [9.1e31, 1.2e30, None]]
    path = workbook(tmp_path / "shares.xlsx", Shares=SHARES, More=spoilt)
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.rows["disposition"].tolist() == ["planned", "planned", "blocked"]


def test_image_ids_under_an_unknown_header_do_not_go_unseen(tmp_path: Path) -> None:
    """A sheet with running numbers under ID, and image IDs elsewhere, is a warning."""
    more: list[list[object]] = [["ID", "Disk", "Target"], [1, OTHER, PROJECT]]
    path = workbook(tmp_path / "shares.xlsx", Shares=SHARES, More=more)
    findings = sharekit.check(sharekit.read_inventory(path))
    assert findings.frame[["rule", "value"]].to_numpy().tolist() == [["sheet-skipped", "More B2"]]

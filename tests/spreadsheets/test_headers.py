"""Headers and words of people's languages, repeated headers, states beside decisions."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

import sharekit
from sharekit.core.fields import FIELDS
from sharekit.core.vocabulary import (
    FALSE_WORDS,
    LANGUAGES,
    PENDING_WORDS,
    STATUS_WORDS,
    TRUE_WORDS,
    headers_of,
    spellings,
    split_words,
)
from sharekit.spreadsheets.headers import match, normalize

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

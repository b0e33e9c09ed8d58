"""Find the header row of a sheet, the field each column means, and IDs outside of the list.

The synonyms cover what people type and what ``openstack image list -f csv`` and
``openstack image member list -f csv`` print (python-openstackclient, *image* commands).
"""

from __future__ import annotations

import difflib
import functools
import re
import time
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from sharekit.core.actions import ACCEPTED, REJECTED, UNSHARE
from sharekit.core.columns import list_some
from sharekit.core.fields import FIELDS, GRAMMARS, UUID

from .formats import per_text as pc
from .formats.raw_sheet import TEXT, RawSheet, column_letter
from .vocabulary import (
    ADVICE_WORDS,
    BODY_REMARKS,
    CLEAR_DECISIONS,
    CONSENTS,
    DATE_HEADERS,
    DENIALS,
    EARLIER_WORDS,
    FALSE_WORDS,
    FINAL_WORDS,
    FORM_WORDS,
    LATEST_WORDS,
    NAME_REMARKS,
    OBJECTIONS,
    OFF_WORDS,
    OWNER_REMARKS,
    PAST_REMARKS,
    PENDING_WORDS,
    PERSON_HEADERS,
    STATE_HEADERS,
    STATE_WORDS,
    STATUS_WORDS,
    STOPS,
    TARGET_REMARKS,
    TITLE_WORDS,
    TRUE_WORDS,
    VOID_WORDS,
    headers_of,
    pattern_of,
    plain_text,
    says,
    spellings,
    without_accents,
)

#: Number of rows searched for a header: titles and notes above a list take far fewer.
SEARCHED_ROWS: Final = 50
#: The number that makes the name of a repeated header unique: ours, Excel's, pandas', a person's.
_NUMBERED: Final = re.compile(r"[\s._-]*(?:[0-9]{1,2}|\([0-9]+\))\Z")
#: A remark in brackets, as in "Decision (accepted / rejected)".
_REMARK: Final = re.compile(r"[(\[{<【〔]([^()\[\]{}<>【】〔〕]*)[)\]}>】〕]")
#: Headers of ``openstack image list --long``, in which "Project" is the *owner's* project.
_IMAGE_LISTING: Final = {"containerformat", "diskformat", "visibility"}


#: No header has more characters; and the headers whose keys are kept, more than a sheet's columns.
_LONGEST_HEADER: Final = 300
_CACHED: Final = 1 << 15
#: Headers listed in a message, and how alike two must be for one to be named as the nearest.
_MAX_HEADERS: Final = 12
_NEAR: Final = 0.6
#: Rows looked at first, since most columns tell at once what they hold.
_FIRST_LOOK: Final = 1000
#: Addresses named one by one; the rest are counted.
_MAX_ADDRESSES: Final = 5
#: Characters that people and programs put around an ID; once for Arrow's expressions (RE2), once
#: for Python's.
_WRAPPING: Final = r"[\s\x{a0}\x{200b}\x{feff}\"'`={}()\[\]<>]*"
_PY_WRAPPING: Final = _WRAPPING.replace(r"\x{a0}\x{200b}\x{feff}", "\xa0\u200b\ufeff")
_BARE_ID: Final = r"[0-9a-f]{32}"
#: What a spreadsheet, or a slip while copying, leaves of an ID.
_DAMAGED: Final = r"(?i)[0-9a-f][0-9a-z-]{15,}|[0-9](?:[.,][0-9]+)?e\+?[0-9]{2}|[0-9]{9,}"
#: Cells of templates and notes: nobody expects the IDs below to be read.
_EXAMPLE: Final = re.compile(r"\bexample\b", re.IGNORECASE)


#: Whether a header is vague, and its place among those of its field: the least is the best.
Rank = tuple[int, int]


@dataclass(frozen=True)
class Header:
    """A header row.

    Attributes
    ----------
    row : int
        Its 0-based row.
    names : tuple of str
        A unique name for each column.
    fields : Mapping of str to int
        Field -> column.
    meant : tuple of str
        The names, with what a row of groups above says of decisions and states behind them.
    """

    row: int
    names: tuple[str, ...]
    fields: Mapping[str, int]
    meant: tuple[str, ...]


def normalize(text: str) -> str:
    """Return a header's letters and digits, case-folded, without accents: its key.

    Examples
    --------
    >>> normalize(" Image_ID*: ") == normalize("image-id") == "imageid"
    True
    >>> normalize("Décision")
    'decision'
    """
    return re.sub(r"[\W_]+", "", without_accents(text)).casefold()


def _ranks_of(field: str) -> dict[str, Rank]:
    ranks: dict[str, Rank] = {}
    for vague, headers in enumerate(headers_of(field)):
        for place, header in enumerate(headers):
            for spelling in spellings(header):
                ranks.setdefault(normalize(spelling), (vague, place))
    return ranks | ({_LATEST: (0, -1)} if field == "status" else {})


#: The key of a header of decisions that says that it is the one that counts.
_LATEST: Final = "newdecision"
_RANKS: Final = {field: _ranks_of(field) for field in FIELDS}
_ALL_KEYS: Final = frozenset(key for ranks in _RANKS.values() for key in ranks)
_STATE_KEYS: Final = frozenset(
    normalize(spelling) for header in STATE_HEADERS for spelling in spellings(header)
)
#: Headers that a word for the latest of its kind may stand with, and such words.
_BASES: Final = _STATE_KEYS | {
    normalize(spelling)
    for header in headers_of("status")[0]
    if not LATEST_WORDS & set(plain_text(header).split())
    for spelling in spellings(header)
}
#: Headers of yes and no: what speaks against a share by yes, and what does so by no.
_REFUSALS: Final = frozenset().union(
    OFF_WORDS,
    OBJECTIONS,
    STOPS - CONSENTS,
    (w for w, a in CLEAR_DECISIONS.items() if a in (REJECTED, UNSHARE)),
)
_CONSENTS: Final = CONSENTS | {w for w, a in CLEAR_DECISIONS.items() if a == ACCEPTED}
#: Who said yes or no.
_OF_WHOM: Final = re.compile(r"(?<=\w) (?:by|von|durch|par|por) .*")
_SAID_NO: Final = FALSE_WORDS - {"", "-"}
#: What a header of decisions has in it, whatever else it says.
_DECISION_KEYS: Final = tuple(
    key
    for header in headers_of("status")[0]
    for key in [normalize(header)]
    if len(key) >= 5 or not key.isascii()
)
#: Columns of our own reports that tell what a run heard and saw; ``before`` is a past remark.
_REPORTED: Final = frozenset({"claimed", "observed"})
#: Words in brackets that make a header of states one of decisions.
_DEMANDS: Final = TARGET_REMARKS | STATUS_WORDS.keys()
#: Words in brackets that leave a header's meaning as it is: its key, a list of decisions, a format.
_HARMLESS: Final = frozenset().union(
    *(re.findall(r"\w+", text) for text in (*STATUS_WORDS, *PENDING_WORDS, *STATE_HEADERS)),
    TARGET_REMARKS, OWNER_REMARKS, NAME_REMARKS, FINAL_WORDS, FORM_WORDS, BODY_REMARKS,
)  # fmt: skip
#: Headers that say no more than that a state stands below, and whose or of when it is.
_ONLY_STATE: Final = re.compile(
    f"(?:{'|'.join(sorted({*_STATE_KEYS, *map(normalize, STATE_WORDS | PAST_REMARKS)}))})+[0-9]*"
)
#: What headers of states have in them.
_STATE_PARTS: Final = (*_STATE_KEYS, "state", "zustand")
_LONGEST_STATE: Final = 60
#: Words of a header of groups, such as "Last year"; titles have more.
_GROUP_WORDS: Final = 3
_DATE_KEYS: Final = frozenset(map(normalize, DATE_HEADERS))
_PERSON_KEYS: Final = frozenset(map(normalize, PERSON_HEADERS))


def find_header(sheet: RawSheet, mapping: Mapping[str, str]) -> Header | None:
    """Return the row that names the most fields, an image ID among them; the first of equals."""
    best: Header | None = None
    above: Sequence[str] = ()
    for number, row in enumerate(sheet.head(SEARCHED_ROWS)):
        names = unique_names(row, sheet.first_column)
        fields = match(names, mapping)
        if "image_id" in fields and (best is None or len(fields) > len(best.fields)):
            meant = _in_groups(names, above)
            best = Header(number, names, match(names, mapping, meant=meant), meant)
        above = row
    return best


def _in_groups(names: tuple[str, ...], above: Sequence[str]) -> tuple[str, ...]:
    """Add what a row of groups ("Last year", "This year") says to headers of decisions and states.

    A group reaches to the next one. A row with one text is a title.
    """
    texts = [" ".join(text.split()) for text in above]
    if len({*texts} - {""}) < 2:
        return names
    groups: list[str] = []
    for text in texts:
        groups.append(text or (groups[-1] if groups else ""))
    ranks = [_best(keys, _RANKS["status"]) for keys in header_keys(names)]
    several = len({group for rank, group in zip(ranks, groups, strict=True) if rank}) > 1
    return tuple(
        f"{name} ({group})"
        if rank and _tells_more(group, several=several, vague=bool(rank[0][0]))
        else name
        for name, rank, group in zip(names, ranks, groups, strict=True)
    )


def _tells_more(group: str, *, several: bool, vague: bool) -> bool:
    """Return True for a group with a known word; any will do if it tells decisions apart."""
    words = re.findall(r"[^\W_]+", group)
    known = says(group, PAST_REMARKS | ADVICE_WORDS | TARGET_REMARKS)
    named = several and (not vague or says(group, BODY_REMARKS))
    return 0 < len(words) <= _GROUP_WORDS and (named or known)


def match(
    names: Sequence[str],
    mapping: Mapping[str, str],
    ignored: Collection[int] = (),
    meant: Sequence[str] = (),
) -> dict[str, int]:
    """Return field -> column, in the order of :data:`sharekit.core.fields.FIELDS`.

    Parameters
    ----------
    names : sequence of str
        The headers.
    mapping : Mapping of str to str
        Field -> header, applied first; ``""`` means that no column is the field's. Synonyms find
        the other fields, the more specific before the leftmost. A header serves two fields only
        if the mapping says so.
    ignored : collection of int
        Columns that serve no field.
    meant : sequence of str, optional
        What synonyms are looked for in; the headers by default.

    Examples
    --------
    >>> match(["ID", "Image ID", "Status"], {})
    {'image_id': 1, 'status': 2}
    >>> match(["ID", "Image ID", "Status"], {"image_id": "ID", "status": ""})
    {'image_id': 0}
    """
    whole = [_own_keys(name)[1] for name in names]
    mapped = {field: _column_of(header, names, whole) for field, header in mapping.items()}
    taken = {*mapped.values(), *ignored}
    known = [(i, keys) for i, keys in _known_headers(meant or names) if i not in taken]
    listing = _is_listing(whole)
    fields: dict[str, int] = {}
    for field in FIELDS:
        if field in mapped:
            column = mapped[field]
        else:
            ranks = _ranks(field, listing=listing)
            ranked = [(rank, i) for i, keys in known for rank in _best(keys, ranks)]
            column = min(ranked)[1] if ranked else None
        if column is not None:
            fields[field] = column
    return fields


def ambiguous_columns(
    names: Sequence[str], mapping: Mapping[str, str], fields: Mapping[str, int]
) -> dict[str, list[int]]:
    """Return field -> further columns whose headers could mean it too; mapped fields have none.

    Examples
    --------
    >>> ambiguous_columns(["ID", "Image ID", "Image ID (2)"], {}, {"image_id": 1})
    {'image_id': [0, 2]}
    """
    taken = set(fields.values())
    known = [(i, keys) for i, keys in _known_headers(names) if i not in taken]
    listing = _is_listing([_own_keys(name)[1] for name in names])
    others = {
        field: [i for i, keys in known if _best(keys, ranks)]
        for field in fields
        if field not in mapping
        for ranks in [_ranks(field, listing=listing)]
    }
    return {field: columns for field, columns in others.items() if columns}


def header_keys(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the keys that each header is known by: its own, that without a remark or a number.

    A number is left out only where the same header stands without it, too: "Project 1" and
    "Project 2" are two of several.

    Examples
    --------
    >>> header_keys(["Status", "Status2", "Status (current)"])
    [('status',), ('status2', 'status'), ('statuscurrent',)]
    >>> header_keys(["Decision (yes / no)", "Project ID (source)"])
    [('decisionyesno', 'decision'), ('projectidsource', 'ownerprojectid')]
    >>> header_keys(["Status neu"])
    [('newstatus', 'statusneu')]
    """
    own = [_own_keys(name) for name in names]
    present = {key for _, key, _, _ in own}
    known = []
    for latest, key, bare, unnumbered in own:
        further = [bare, unnumbered if unnumbered in present else ""]
        keys = dict.fromkeys([*filter(None, [latest]), key, *filter(None, further)])
        known.append(tuple(keys))
    return known


def fields_called(name: str) -> list[str]:
    """Return the fields whose column may have this header.

    >>> fields_called("decision")
    ['status']
    """
    keys = header_keys([name])[0]
    return [field for field in FIELDS if any(key in _RANKS[field] for key in keys)]


def _known_headers(names: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Return the columns whose header is one of any field, each with its keys."""
    keys = header_keys(names)
    return [(i, own) for i, own in enumerate(keys) if not _ALL_KEYS.isdisjoint(own)]


@functools.lru_cache(_CACHED)
def _own_keys(name: str) -> tuple[str, str, str, str]:
    """Return a header's key as the latest of its kind, its own, that without remark and number."""
    if len(name) > _LONGEST_HEADER:
        return "", "", "", ""
    unnumbered = normalize(_NUMBERED.sub("", name))
    return _latest_key(name), normalize(name), _key_without_remark(name), unnumbered


def _latest_key(name: str) -> str:
    """Return the key of a header that a word such as "new" makes the one that counts; else "".

    >>> _latest_key("Status neu"), _latest_key("Final decision"), _latest_key("Decision")
    ('newstatus', 'newdecision', '')
    """
    text = plain_text(name)
    words = pattern_of(LATEST_WORDS).sub(" ", text)
    key = normalize(words)
    if words == text or key not in _BASES or says(name, PAST_REMARKS | ADVICE_WORDS):
        return ""
    return "newstatus" if key in _STATE_KEYS else _LATEST


def _key_without_remark(name: str) -> str:
    """Return the key of a header without its remark in brackets; "" if that changes its meaning."""
    plain = unicodedata.normalize("NFKC", name)
    remarks = _REMARK.findall(plain)
    if not remarks:
        return ""
    key = normalize(_REMARK.sub(" ", plain))
    words = _remark_words(plain)
    past = any(says(remark, PAST_REMARKS) for remark in remarks)
    if past or (words & NAME_REMARKS and not key.endswith("id")):
        return ""
    if words & OWNER_REMARKS and (key == "id" or key in _RANKS["project_id"]):
        return "ownerprojectid"
    if words & ADVICE_WORDS and key in _RANKS["status"]:
        return ""
    asked = {STATUS_WORDS[word] for word in words & STATUS_WORDS.keys()}
    if len(asked) == 1 and asked != {ACCEPTED}:
        return ""  # "yes" below "Decision (reject)" means the opposite of what it means elsewhere
    demanded = words & _DEMANDS or any(word.isdigit() for word in words)
    return key if demanded or key not in _STATE_KEYS else ""


def _remark_words(plain: str) -> set[str]:
    return {word for text in _REMARK.findall(plain) for word in re.findall(r"\w+", text.lower())}


def is_plain(name: str) -> bool:
    """Return True if nothing stands in brackets that may change what a header means.

    >>> is_plain("Decision (accepted / rejected)"), is_plain("Decision (2)")
    (True, True)
    >>> is_plain("Decision (by phone)"), is_plain("Decision (2024)"), is_plain("Decision (v2)")
    (False, False, True)
    """
    words = _remark_words(unicodedata.normalize("NFKC", name)) - _HARMLESS
    return all(_is_number_of_latest(word) for word in words)


def _is_number_of_latest(word: str) -> bool:
    """Return True for a small number, a later version than the first, and this year or a later."""
    version = re.fullmatch(r"v?0*([0-9]{1,2}|20[0-9]{2})", word)
    if not version:
        return False
    number = int(version[1])
    first = time.gmtime().tm_year if len(version[1]) > 2 else 2 if word[0] == "v" else 0
    return number >= first


def _best(keys: Sequence[str], ranks: Mapping[str, Rank]) -> list[tuple[int, int, int]]:
    """Return the rank of a header's best key in a list of one; nothing if no key is known."""
    ranked = [(ranks[key][0], i, ranks[key][1]) for i, key in enumerate(keys) if key in ranks]
    return [min(ranked)] if ranked else []


def known_keys() -> frozenset[str]:
    """Return the keys of all headers that are known."""
    return _ALL_KEYS


def is_vague(names: Sequence[str], column: int, field: str) -> bool:
    """Return True if a header says too little to be certain of the field: ``ID`` of an image.

    >>> is_vague(["ID"], 0, "image_id"), is_vague(["Image ID"], 0, "image_id")
    (True, False)
    """
    best = _best(header_keys(names)[column], _RANKS[field])
    return any(vague for vague, _, _ in best)


def state_columns(names: Sequence[str]) -> list[int]:
    """Return the columns with a header of shares' states, which may as well hold decisions.

    >>> state_columns(["Member Status", "Decision", "Member Status (2)", "Status (new)"])
    [0, 2]
    """
    keys = header_keys(names)
    known = [i for i, own in enumerate(keys) if not _STATE_KEYS.isdisjoint(own)]
    return [i for i in known if shows_state(names[i])]


def shows_state(name: str) -> bool:
    """Return True if a header says nothing but that it is of a state, and whose or of when.

    >>> shows_state("Status"), shows_state("Current member status"), shows_state("Status (2)")
    (True, True, True)
    >>> shows_state("Final status"), shows_state("Status corrected"), shows_state("Current")
    (False, False, False)
    """
    key = normalize(name)
    if len(key) > _LONGEST_STATE or not any(part in key for part in _STATE_PARTS):
        return False
    return _ONLY_STATE.fullmatch(key) is not None


def may_hold_decisions(name: str, chosen: str) -> bool:
    """Return True if what stands below an unknown header may be the decision that counts.

    Earlier decisions are none, and states that say no more beside a column such as "Decision".
    Beside the column that was ``chosen`` another one counts if its header speaks of decisions, of
    any other state, of what is wanted or final; beside one of states, advice counts, too. Beside
    none any header may be the one.

    >>> may_hold_decisions("Revised decision", "Decision")
    True
    >>> may_hold_decisions("Proposed decision", "Decision")
    False
    >>> may_hold_decisions("Final status", "Decision"), may_hold_decisions("State", "Decision")
    (True, False)
    >>> may_hold_decisions("Proposed", "Status"), may_hold_decisions("Approved status", "Status")
    (True, True)
    >>> may_hold_decisions("Result", "Status"), may_hold_decisions("Result", "")
    (False, True)
    >>> may_hold_decisions("Decision (draft)", "Status"), may_hold_decisions("Old decision", "")
    (True, False)
    """
    key, final = normalize(name), says(name, FINAL_WORDS)
    decides = any(known in key for known in _DECISION_KEYS)
    certain = is_of_decisions(chosen) if chosen else False
    if says(name, PAST_REMARKS) and not final:
        # A draft, or what was called off, beside what may be a mere state: nobody knows.
        void = says(name, VOID_WORDS) and not says(name, EARLIER_WORDS)
        return bool(chosen) and void and decides and not certain
    if not chosen:
        return True
    speaks = final or decides or any(known in key for known in _STATE_PARTS)
    speaks = speaks or says(name, TARGET_REMARKS)
    if certain:
        return speaks and not shows_state(name) and not says(name, ADVICE_WORDS)
    return speaks or says(name, ADVICE_WORDS)


def is_of_decisions(name: str) -> bool:
    """Return True for a header that can mean nothing but the decisions that count.

    >>> is_of_decisions("Decision"), is_of_decisions("Status"), is_of_decisions("Decision (Bob)")
    (True, False, False)
    """
    known = any(key in _RANKS["status"] for key in header_keys([name])[0])
    return known and not is_vague([name], 0, "status") and is_plain(name)


def without_remark(name: str) -> str:
    """Return a header without what stands in brackets."""
    return _REMARK.sub(" ", unicodedata.normalize("NFKC", name))


def is_earlier(name: str, chosen: str) -> bool:
    """Return True for decisions, or states, beside which others were chosen as the latest.

    >>> is_earlier("Decision", "Final decision"), is_earlier("Decision (Bob)", "Final decision")
    (True, False)
    >>> is_earlier("Status", "Status neu"), is_earlier("Status", "Decision")
    (True, False)
    """
    latest = _latest_key(chosen) if is_plain(chosen) else ""
    decided = latest == _LATEST and is_of_decisions(name) and not _latest_key(name)
    return decided or (bool(latest) and bool(state_columns([name])))


def says_no(name: str) -> frozenset[str]:
    """Return the words that say no under a header of yes and no; none under any other.

    >>> says_no("Cancelled?") == TRUE_WORDS, "no" in says_no("Is approved"), says_no("Public")
    (True, True, frozenset())
    >>> says_no("Not approved") == says_no("Do not send") == TRUE_WORDS
    True
    >>> "no" in says_no("Approved by CISO")
    True
    """
    text = _OF_WHOM.sub("", plain_text(without_remark(name)))
    for words, refuses in ((_REFUSALS, True), (_CONSENTS, False)):
        rest = pattern_of(words).sub(" ", text)
        allowed = pattern_of(DENIALS).sub(" ", rest)
        if rest != text and not pattern_of(TITLE_WORDS).sub(" ", allowed).strip():
            return TRUE_WORDS if refuses is (allowed == rest) else _SAID_NO
    return frozenset()


def reads_as_log(names: Sequence[str]) -> bool:
    """Return True if a table begins with a date and tells who changed it, or old and new states.

    >>> reads_as_log(["Date", "Who", "Image ID", "Decision"]), reads_as_log(["Image ID", "Date"])
    (True, False)
    """
    keys = [normalize(name) for name in names]
    if not keys or keys[0] not in _DATE_KEYS:
        return False
    told = [name for name, key in zip(names, keys, strict=True) if key.endswith(_STATE_PARTS)]
    replaced = any(says(name, PAST_REMARKS) for name in told)
    return replaced or not _PERSON_KEYS.isdisjoint(keys)


def tells_of_past(name: str) -> bool:
    """Return True for headers of earlier decisions, and of what our own reports tell of a run.

    >>> tells_of_past("Previous result"), tells_of_past("claimed"), tells_of_past("Result")
    (True, True, False)
    """
    return normalize(name) in _REPORTED or says(name, PAST_REMARKS)


def _is_listing(keys: Collection[str]) -> bool:
    return len(_IMAGE_LISTING.intersection(keys)) > 1


def _ranks(field: str, *, listing: bool) -> Mapping[str, Rank]:
    if listing and field == "project_id":
        return {name: rank for name, rank in _RANKS[field].items() if name != "project"}
    if listing and field == "owner":
        return _RANKS[field] | {"project": (1, len(_RANKS[field]))}
    return _RANKS[field]


def _column_of(header: str, names: Sequence[str], keys: Sequence[str]) -> int | None:
    wanted = header.strip()
    exact = [column for column, name in enumerate(names) if name.strip() == wanted != ""]
    if exact:
        return exact[0]
    key = normalize(header)
    return keys.index(key) if key and key in keys else None


def unique_names(texts: Sequence[str], first_column: int = 0) -> tuple[str, ...]:
    """Return a name for each column: its header, or its letter; a repeated one gets a number.

    Examples
    --------
    >>> unique_names(["ID", "", "ID"])
    ('ID', '(column B)', 'ID (2)')
    """
    names: dict[str, None] = {}
    counts: dict[str, int] = {}
    for column, text in enumerate(texts, first_column):
        base = text if text.strip() else f"(column {column_letter(column)})"
        count = counts.get(base, 1)
        name = base if count == 1 else f"{base} ({count})"
        while name in names:
            count += 1
            name = f"{base} ({count})"
        names[name], counts[base] = None, count
    return tuple(names)


def rows_above_header(sheet: RawSheet, header_row: int, fields: Mapping[str, int]) -> str:
    """Return the addresses of what looks like shares above a header (1-based row), else "".

    A UUID counts in any column. 32 hexadecimal digits may be a project's ID in a title, so they
    count in the column of image IDs only.
    """
    image = fields["image_id"]
    addresses = []
    for number, row in enumerate(sheet.head(header_row - 1), start=1):
        columns = [column for column, cell in enumerate(row) if _is_wrapped(cell, UUID)]
        if _is_wrapped(row[image], _BARE_ID) or (not columns and _is_share(row, fields)):
            columns = [image]
        addresses += [_address(sheet, number, column) for column in columns[:1]]
    return list_some(addresses, limit=_MAX_ADDRESSES)


def address_of_id(sheet: RawSheet) -> str:
    """Return the address of the first likely image ID in a sheet without a header, else "".

    Columns with the header of another field (a list of projects, say) and examples do not count.
    """
    excluded: set[int] = set()
    for row in sheet.head(SEARCHED_ROWS):
        fields = match(unique_names(row), {})
        excluded |= {column for field, column in fields.items() if field != "image_id"}
        excluded |= {column for column, cell in enumerate(row) if _EXAMPLE.search(cell)}
    pattern = wrapped(f"{UUID}|{_BARE_ID}")
    hits = {
        column: pc.match_substring_regex(texts, pattern)
        for column, texts in enumerate(sheet.cells)
        if column not in excluded
    }
    return _first_address(sheet, hits)


def header_too_deep(sheet: RawSheet, header: str = "") -> str:
    """Return the address of an image ID's header (or that given) below the rows searched."""
    # "ID" alone stands in many tables that are no lists of shares.
    clear = {key for key, (vague, _) in _RANKS["image_id"].items() if not vague} | {"uuid", "image"}
    keys = pa.array([normalize(header)] if header else sorted(clear), TEXT)
    hits = {
        column: pc.is_in(pc.utf8_lower(pc.replace_substring_regex(texts, r"[\W_]+", "")), keys)
        for column, texts in enumerate(sheet.cells)
    }
    return _first_address(sheet, hits, SEARCHED_ROWS)


def wrapped(grammar: str) -> str:
    """Return Arrow's expression for an ID in any case, with or without blanks, quotes or braces."""
    return rf"(?i)\A{_WRAPPING}(?:{grammar}){_WRAPPING}\z"


def holds_id(column: pa.ChunkedArray, field: str) -> bool:
    """Return True if a column holds something like an ID of the field, with braces or without."""
    return _any_matches(column, wrapped(GRAMMARS[field]))


def first_id(column: pa.ChunkedArray, field: str) -> int | None:
    """Return the position of the first such ID in a column, or None."""
    hits = np.asarray(pc.match_substring_regex(column, wrapped(GRAMMARS[field])), dtype=bool)
    return int(np.argmax(hits)) if hits.any() else None


def holds_damaged_id(column: pa.ChunkedArray) -> bool:
    """Return True if a column holds what may be left of an ID: a long number, or most digits."""
    return _any_matches(column, _DAMAGED)


def _any_matches(column: pa.ChunkedArray, pattern: str) -> bool:
    parts = (column.slice(0, _FIRST_LOOK), column.slice(_FIRST_LOOK))
    return any(pc.any(pc.match_substring_regex(part, pattern)).as_py() for part in parts)


def empty_formulas(sheet: RawSheet, header_row: int, column: int) -> str:
    """Return the addresses of formulas below a header that may never have been calculated."""
    spots = sorted(sheet.metadata.empty_formulas)
    rows = [row + 1 for row, position in spots if position - sheet.first_column == column]
    addresses = [_address(sheet, row, column) for row in rows if row > header_row]
    return list_some(addresses, limit=_MAX_ADDRESSES)


def describe_headers(names: Sequence[str], field: str) -> str:
    """List the headers there are, and the one nearest to those that a field is known by.

    Examples
    --------
    >>> describe_headers(["Image ID", "Projekct", "(column C)"], "project_id")
    'the headers are Image ID, Projekct; Projekct is nearest'
    """
    headers = [" ".join(name.split()) for name in names if not name.startswith("(column ")]
    listed = ", ".join(headers[:_MAX_HEADERS]) + (", …" if len(headers) > _MAX_HEADERS else "")
    nearest = nearest_header(headers, field)
    return f"the headers are {listed}" + (f"; {nearest} is nearest" if nearest else "")


def nearest_header(headers: Sequence[str], field: str) -> str:
    """Return the header that is most like one of a field; "" if none is like any.

    >>> nearest_header(["Imge ID", "Contact"], "image_id")
    'Imge ID'
    """
    likeness = {
        header: difflib.SequenceMatcher(None, key, known).ratio()
        for header in headers
        if (key := normalize(header))
        for known in difflib.get_close_matches(key, _RANKS[field], 1, _NEAR)
    }
    return max(likeness, key=likeness.__getitem__, default="")


def _is_wrapped(cell: str, grammar: str) -> bool:
    pattern = f"{_PY_WRAPPING}(?:{grammar}){_PY_WRAPPING}"
    return re.fullmatch(pattern, cell, re.IGNORECASE) is not None


def _is_share(row: Sequence[str], fields: Mapping[str, int]) -> bool:
    """Return True for a row with a project, a decision and any text for the image."""
    project, status = (row[fields[f]] if f in fields else "" for f in ("project_id", "status"))
    decided = status.strip().lower() in STATUS_WORDS
    return bool(row[fields["image_id"]].strip()) and decided and _is_wrapped(project, _BARE_ID)


def _first_address(sheet: RawSheet, hits: Mapping[int, pa.ChunkedArray], start: int = 0) -> str:
    spots = []
    for column, hit in hits.items():
        rows = np.flatnonzero(np.asarray(hit, dtype=bool)[start:])
        if rows.size:
            spots.append((int(rows[0]) + start + 1, column))
    return _address(sheet, *min(spots)) if spots else ""


def _address(sheet: RawSheet, row: int, column: int) -> str:
    return sheet.address(row - 1, column)

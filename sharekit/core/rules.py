"""Every rule that rows are checked against, in one table: name, severity, message, suggestion.

Names are stable: scripts, reports and ledgers use them. A rule's ``phase`` says what it needs: the
``cell`` alone, all ``rows`` together, or what the ``cloud`` shows.

Examples
--------
>>> RULES["not-shared"].severity
'error'
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .cloud_api import ADVICE, MEANINGS

SEVERITIES = ("error", "warning", "repair", "info")
#: The number of this set of rules; every plan and audit records it. Raise it with each change of
#: the table or of what a rule finds: only a ledger of the same number is checked anew by `verify`.
RULE_SET = 1


@dataclass(frozen=True)
class Rule:
    """A rule: ``message`` says what is wrong, ``suggestion`` what to do about it in Python.

    :func:`in_shell` turns a suggestion into what to do in the shell, which files say as well.
    """

    name: str
    severity: str
    phase: str
    message: str
    suggestion: str


_TABLE = (
    # cells
    ("missing", "error", "cell", "{field} is empty", "Fill the cell; if the whole column is missing, give a default."),
    ("column-missing", "error", "cell", "there is no column for {field}", "Add the column, name it with columns={\"{field}\": \"its header\"}, or give one value for all rows as a default."),
    ("columns-disagree", "error", "cell", "another column could also be {field}, and holds a different value", "Name the column to use: columns={\"{field}\": \"its header\"}."),
    ("ids-swapped", "error", "cell", "this looks like a project ID, and the project ID looks like an image ID", "Swap the two cells, or copy both IDs again."),
    ("image-id-format", "error", "cell", "not an image ID: 8-4-4-4-12 hexadecimal digits", "Copy the ID again from the cloud; it is never guessed."),
    ("project-id-format", "error", "cell", "not a project ID: 32 hexadecimal digits", "Copy the ID again from the cloud; it is never guessed."),
    ("vault-id-format", "error", "cell", "not a vault ID: 8-4-4-4-12 hexadecimal digits", "Copy the ID again from the backup service."),
    ("vault-id-not-hex", "warning", "cell", "the value has the shape of a vault ID, but is not hexadecimal", "Compare it with the ID that the backup service shows."),
    ("status-unknown", "error", "cell", "not a decision (accepted or rejected; share or unshare for the image's owner)", "Write accepted or rejected, or share or unshare if your project owns the image."),
    ("homoglyph", "error", "cell", "a letter only looks like a digit of an ID", "Copy the ID again from the cloud; it is never guessed."),
    ("bidi-mark", "error", "cell", "an invisible character reverses the order in which the ID is displayed", "Copy the ID again from the cloud; it is never guessed."),
    ("number-cell", "error", "cell", "the cell holds a number, and only text keeps every digit", "Format the column as text, then enter the value again."),
    ("scientific-number", "error", "cell", "a number in scientific notation: Excel has damaged the ID", "Format the column as text, then paste the ID again."),
    ("precision-lost", "error", "cell", "a spreadsheet kept 15 digits of the ID as a number and replaced the rest by zeros", "Format the column as text, then paste the ID again."),
    ("date-cell", "error", "cell", "the cell holds a date", "Format the column as text, then enter the value again."),
    ("boolean-cell", "error", "cell", "the cell holds TRUE or FALSE", "Format the column as text, then enter the value again."),
    ("error-cell", "error", "cell", "the cell holds a spreadsheet error", "Correct the formula, or paste the value as text."),
    ("formula-without-value", "error", "cell", "the formula has no saved result", "Open the workbook in a spreadsheet program and save it, which calculates the formula."),
    ("formula-ambiguous", "warning", "cell", "formulas have an empty result; an xls file does not record whether they were ever calculated", "Look at these cells; if they show a value, save the workbook as .xlsx and use that."),
    ("whole-image-unclear", "warning", "cell", "the value is neither yes nor no, so it is read as unknown", "Write true or false."),
    ("repaired-blanks", "repair", "cell", "blanks removed", ""),
    ("repaired-invisible", "repair", "cell", "invisible characters removed", ""),
    ("repaired-braces", "repair", "cell", "braces or quotation marks removed", ""),
    ("repaired-case", "repair", "cell", "converted to lower case", ""),
    ("repaired-dashes", "repair", "cell", "dashes corrected to the API's format", ""),
    ("repaired-status", "repair", "cell", "read as the decision with this meaning", ""),
    ("encoding-guessed", "warning", "cell", "the file's encoding was guessed, because it is not Unicode", "Look at names and remarks; if letters are wrong, name the encoding (encoding=\"cp1251\"), or save the file as UTF-8."),
    ("hidden-row", "warning", "cell", "the row is hidden in the sheet, but it is read", "Unhide the row and decide whether it belongs in the list."),
    ("hidden-sheet", "warning", "cell", "the sheet is hidden, but it is read", "Unhide the sheet, or name the sheets to read (sheet=\"NAME\")."),
    ("hidden-column", "warning", "cell", "the column is hidden in the sheet, but it is read", "Unhide the column and check its values."),
    ("hidden-by-merge", "error", "cell", "the value is hidden under merged cells", "Unmerge the cells and fill each row."),
    ("display-differs", "error", "cell", "the number format displays a different text than the cell contains", "Format the cell as text, then check its value."),
    ("crossed-out", "error", "cell", "the value is crossed out", "If the value is still valid, remove the strikethrough; if not, delete the row or correct the value."),
    ("crossed-out-by-condition", "warning", "cell", "a conditional format or a table style may cross out cells of this range; sharekit does not evaluate it", "Look at these cells; delete the rows that a person sees crossed out."),
    ("link-differs", "warning", "cell", "the cell's link leads to a different ID than the cell shows; the ID that it shows is used", "Open the link and compare; then correct the ID, or remove the link."),
    ("appearance-unread", "warning", "cell", "sharekit does not read this part of the appearance in this file format, so a person may see something else", "Save the workbook as .xlsx and use that."),
    ("merged-cell", "warning", "cell", "the cell is merged and has no value of its own; only the top left one has", "Unmerge the cells and fill each row."),
    ("column-holds-image-state", "info", "cell", "the column holds the image's state, not a decision", "Add a column with the decision (accepted, rejected, share, unshare), or give defaults={\"status\": \"accepted\"} for all rows."),
    ("default-used", "info", "cell", "the sheet has no column for {field}, so the given default is used", ""),
    ("default-contradicted", "warning", "cell", "a title or a name speaks against the given decision", "Make sure which of the two is meant, and change the other one."),
    ("title-disagrees", "error", "cell", "a title, a header, a legend or the sheet's name says otherwise than the row's decision", "Make sure which of the two holds; then correct the decision (accepted or rejected, not yes or no) or the title, or move the row below the right one."),
    ("sheet-disagrees", "error", "cell", "another sheet of the workbook, from which nothing is sent, says otherwise about the same share", "Make sure which of the two holds, and correct the other one; or name the sheets to read (sheet=\"NAME\")."),
    ("default-unused", "warning", "cell", "the sheet has a column for {field}, so the given default is not used", "Leave out the default, or set the column aside with columns={\"{field}\": \"\"}."),
    ("sheet-without-header", "info", "cell", "the sheet has no header or no values of a list of shares, so it was left out", "If it holds shares, name the sheets to read (sheet=\"NAME\"), or the header of the image IDs: columns={\"image_id\": \"its header\"}."),
    ("sheet-set-aside", "warning", "cell", "the sheet's name or columns say that it is a log, a copy, a draft, an example or no longer valid, so it was left out", "If it holds shares that are to be decided, name the sheets to read (sheet=\"NAME\"), or rename it."),
    ("sheet-doubtful", "warning", "cell", "the sheet's name or columns say that it is a log, a copy, a draft, an example or no longer valid, but without it there is no list of shares, so it is read", "Make sure that these are the decisions that you mean; name the sheet (sheet=\"NAME\"), or rename it."),
    ("sheet-skipped", "warning", "cell", "no header row of a list of shares was found in the first 50 rows, so the sheet was skipped, but it seems to hold image IDs", "Move its header into the first rows, add columns for project and decision, or name the header of the image IDs (columns={\"image_id\": \"its header\"}); delete the sheet if it holds no shares."),
    ("lock-file", "info", "cell", "a spreadsheet program keeps this lock file while somebody has a workbook open; it was left out", "Make sure that the workbook was saved before sharekit read it."),
    ("rows-above-header", "error", "cell", "rows above the header look like shares, but they are not read", "Move the header above all rows (sorting may have moved it), or delete the rows above it. Until then no row of the sheet is sent, and the rows above the header are in no report."),
    ("no-share", "info", "cell", "the row has neither an ID nor a decision, so it is not a share", "If one of them is a share, fill in its IDs and the decision."),
    ("not-decided", "info", "cell", "not decided: the list shows the share's state, and the decision is empty", "Fill in a decision where you want one; every other share is left as it is."),
    ("several-ids", "error", "cell", "the cell holds several IDs, but each row is one share", "Give each ID a row of its own, with the same values in the other cells (in Excel: Data, From Table, Split Column into rows)."),
    ("surplus-fields", "error", "cell", "the row has more cells than the header, so its values may be in the wrong columns", "Put the text that holds a separator into quotation marks, or delete the surplus cell; if the column is intended, give it a header."),
    ("decision-elsewhere", "error", "cell", "another column of the row holds a different decision, so its values may be in the wrong columns", "Put a text that holds a separator into quotation marks, and check that each value is under its header; if the other cell is a remark, use other words in it."),
    ("remark-disagrees", "warning", "cell", "a remark in the row speaks against its decision", "Read the remark, and make sure that the decision still holds."),
    ("fewer-fields", "info", "cell", "rows have fewer fields than the header; the missing fields at their end are read as empty", ""),
    ("header-repeated", "info", "cell", "the header is repeated between the rows; it is left out, and reading continues below it", ""),
    ("second-header", "error", "cell", "between the rows is a second header with other columns or in another order, so the first header does not describe the rows below it", "Give each table its own sheet or file, or give all tables the same columns. Until then no row of the sheet is sent."),
    ("stray-quotation-mark", "error", "cell", "a quotation mark opens a text that seems to hold further rows", "Delete the quotation mark, or close it where the text ends (within a text in quotation marks it is written twice); then check these lines."),
    # rows together
    ("duplicate", "warning", "rows", "another row has the same share and decision, and is sent for both", "Delete one of the rows."),
    ("same-file-twice", "warning", "rows", "the same file was read twice, and its row is sent once", "Name the file once; the file itself needs no change."),
    ("conflict", "error", "rows", "another row decides differently on the same share", "Keep the row that is right."),
    ("counted-up", "error", "rows", "this ID and others differ by one or by equal steps, as if a spreadsheet had counted up an ID that was dragged down", "Copy the ID again from the cloud. An ID that one of the named clouds shows (connect(\"NAME\")) is accepted; if you know that others exist, confirm them: confirm=[\"counted-up\"]."),
    ("vault-missing", "error", "rows", "accepting a full-ECS image needs a vault", "Fill in the ID of a server backup vault of the project."),
    ("vault-for-rejection", "warning", "rows", "only an acceptance takes a vault, so this vault is not sent", "Empty the cell."),
    ("wrong-role", "error", "rows", "the reviewer's decision is for the other side of the share", "Decide share or unshare on rows of the owner, accept or reject on rows of the project."),
    ("owner-unknown", "error", "rows", "the image's owner is unknown, so no project can share or unshare it", "Correct the image ID, or name the owning project's cloud too (connect(\"NAME\")); without any cloud, fill in the owner."),
    ("share-with-owner", "error", "rows", "an image cannot be shared with the project that owns it", "Enter the ID of the project to share it with."),
    ("too-many-projects", "error", "rows", "the image would be shared with more projects than the cloud allows", "Share it with fewer projects, or unshare it from others in an earlier run."),
    ("undo-decided", "info", "rows", "sharing the image again does not restore the project's decision", "Ask the project to accept it again."),
    ("undo-pending", "error", "rows", "the share was pending before the run, and the batch API cannot make it pending again", "Leave it as it is or decide it again; only the image's owner can unshare it and share it once more."),
    ("undo-reviewed", "info", "rows", "a reviewer decided on this share in the run that is undone", "Make sure that this decision is to be undone, too."),
    ("undo-to-pending", "info", "rows", "the share was pending before the run, and becomes pending again", ""),
    # with a cloud
    ("undo-state-changed", "error", "cloud", "the share has changed since the run, so it is not undone", "Find out who changed it, then plan the state that it should have."),
    ("no-credentials", "error", "cloud", "none of the named clouds gives access to this project", "Name the project's entry in clouds.yaml too, an account for all of them (projects: all), or an administrator's (acts_for: all)."),
    ("acts-for", "error", "cloud", "the project has no sign-in of its own, and an administrator would act for it", "Make sure that the administrator may decide for this project; then confirm it: confirm=[\"acts-for\"]."),
    ("not-looked-up", "error", "cloud", "the cloud does not show the state of this share, so nothing is known about it", "Repeat this; if it stays, ask the cloud's administrator for the right to read images and their members."),
    ("not-owned", "error", "cloud", "the project named as the owner does not own the image", "Correct the owner or the image ID."),
    ("not-shareable", "error", "cloud", "an image of this visibility cannot be shared", "Set the visibility of the image to shared first."),
    ("encrypted", "warning", "cloud", "the image is encrypted; if its key is the default key, it cannot be shared, and no listing shows the key", "Make sure that its key is not the default key."),
    ("not-shared", "error", "cloud", "the image does not exist, or is not shared with this project", "Ask the owner whether the image still exists and is shared."),
    ("own-image", "error", "cloud", "the project owns the image itself", "Remove the row: only other projects' images are accepted or rejected."),
    ("region-differs", "error", "cloud", "the cloud is in another region", "Name the cloud of that region; a share cannot cross regions."),
    ("already", "info", "cloud", "the share is in the wanted state already; nothing will be sent", ""),
    ("owner-differs", "warning", "cloud", "the cloud shows a different owner", "Make sure that this is the image that you mean."),
    ("full-ecs-differs", "warning", "cloud", "the cloud shows the opposite about full-ECS, and the cloud's value is used", "Correct the cell."),
    ("vault-unread", "warning", "cloud", "the project's vaults could not be read, so this vault is not checked", "Ask for the right to list vaults, set the service's address (cbr_endpoint_override), or check the vault by hand."),
    ("vault-unknown", "error", "cloud", MEANINGS["IMG.0184"], ADVICE["IMG.0184"]),
    ("vault-wrong-type", "error", "cloud", MEANINGS["IMG.0193"], ADVICE["IMG.0193"]),
    ("vault-unavailable", "error", "cloud", MEANINGS["IMG.0188"], ADVICE["IMG.0188"]),
    ("vault-resource-limit", "error", "cloud", MEANINGS["IMG.0185"], ADVICE["IMG.0185"]),
    ("vault-too-small", "error", "cloud", "the vault has too little room for this image", ADVICE["IMG.0182"]),
    ("vault-overcommitted", "error", "cloud", "the images of earlier rows take the room that the vault has", "Choose another vault for some of them, enlarge this one, or skip rows."),
    ("reverses-earlier", "warning", "rows", "an earlier run decided otherwise on the same share, and this row would turn that back", "Make sure that this is meant; else decide in the review as that run did, or correct the inventory."),
    ("state-changed", "warning", "cloud", "the share's state has changed since the plan was made", "Make sure that the decision still holds."),
)  # fmt: skip
#: name -> rule, in the order of the table.
RULES: dict[str, Rule] = {line[0]: Rule(*line) for line in _TABLE}
#: Rules of rows that ask for nothing: they end as ``skipped``, with one finding for each sheet.
LEFT_OUT: frozenset[str] = frozenset({"no-share", "not-decided"})
#: field -> the rule that says its value has the wrong form.
FORMAT_RULE = {
    "image_id": "image-id-format",
    "project_id": "project-id-format",
    "vault_id": "vault-id-format",
    "status": "status-unknown",
}


#: Errors that a person who knows better may confirm by name; then they are warnings.
CONFIRMABLE: tuple[str, ...] = ("counted-up", "acts-for")


def severity(name: str, *, strict: bool = False, confirmed: Collection[str] = ()) -> str:
    """Return a rule's severity; in strict mode a warning is an error, unless it was confirmed.

    >>> severity("duplicate"), severity("duplicate", strict=True)
    ('warning', 'error')
    >>> severity("counted-up"), severity("counted-up", strict=True, confirmed=["counted-up"])
    ('error', 'warning')
    """
    if name in confirmed:
        return "warning"
    plain = RULES[name].severity
    return "error" if strict and plain == "warning" else plain


#: Arguments of calls -> the options of the shell that mean the same.
_OPTIONS = (
    (re.compile(r'columns=\{"(.+?)": ""\}'), r"--map \1="),
    (re.compile(r'columns=\{"(.+?)": (".+?")\}'), r"--map \1=\2"),
    (re.compile(r'defaults=\{"(.+?)": "(.+?)"\}'), r"--\1 \2"),
    (re.compile(r'connect\("(.+?)"\)'), r"--cloud \1"),
    (re.compile(r'(sheet|encoding|confirm)=\[?"(.+?)"\]?'), r"--\1 \2"),
)


def in_shell(suggestion: str) -> str:
    """Return a suggestion with options of the shell in place of arguments.

    >>> in_shell('Name the column to use: columns={"image_id": "its header"}.')
    'Name the column to use: --map image_id="its header".'
    """
    for argument, option in _OPTIONS:
        suggestion = argument.sub(option, suggestion)
    return suggestion


def markdown() -> str:
    """Return the table of all rules for the documentation."""
    lines = ["| rule | severity | what is wrong | what to do |", "|---|---|---|---|"]
    lines += [
        f"| `{r.name}` | {r.severity} | {r.message.replace('{field}', 'a mandatory value')} "
        f"| {in_shell(r.suggestion.replace('{field}', 'FIELD')) or '–'} |"
        for r in RULES.values()
    ]
    return "\n".join(lines)

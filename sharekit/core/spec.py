"""The rules of the API, as data, each with its source.

Sources, by the short name used below:

- ``IMS-members``  Open Telekom Cloud, Image Management Service API, *Updating the Status of Image
  Members in Batches* (``PUT /v1/cloudimages/members``).
- ``IMS-job``      the same, *Asynchronous Job Query*.
- ``IMS-errors``   the same, *Error Codes*.
- ``IMS-sharing``  the same, adding and deleting members in batches (``POST``, ``DELETE`` there).
- ``Glance``       OpenStack Image API v2, *Sharing* (``/v2/images/{id}/members``).
- ``IMS-guide``    Image Management Service, *User Guide*: accepting shared images; full-ECS images.
- ``CBR-vaults``   Cloud Backup and Recovery API, *Querying the Vault List*.
- ``CBR-limits``   Cloud Backup and Recovery, *Constraints*.
- ``observed``     seen on a running Keystone 30 and Glance 33.

Examples
--------
>>> from sharekit import spec
>>> spec.remedy("IMG.0060", http=400)
<Remedy.WAIT: 'wait'>
>>> spec.remedy("", http=404)
<Remedy.NATIVE: 'native'>
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

# -- fields of one share -------------------------------------------------------------------
#: Every field a row can have, in the order people expect to read them.
FIELDS: Final = (
    "image_id",
    "project_id",
    "status",
    "vault_id",
    "whole_image",
    "region",
    "name",
    "owner",
)
#: Fields whose cells must be text: a number there means that Excel has changed an ID.
ID_FIELDS: Final = ("image_id", "project_id", "vault_id")
#: Fields a row cannot do without (IMS-members: ``images``, ``project_id``, ``status``).
MANDATORY: Final = ("image_id", "project_id", "status")

# -- grammars (anchored on both ends by the caller with fullmatch) -----------------------------
#: IMS-members, Glance: a UUID, lower case. Glance answers 404 for any other spelling (observed).
UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
UUID_LENGTH: Final = 36
#: IMS-members: a project is 32 hex digits without dashes.
PROJECT: Final = r"[0-9a-f]{32}"
#: The API's own samples of a vault have this shape without being hexadecimal.
VAULT_SHAPE: Final = r"[0-9a-z]{8}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12}"
GRAMMAR: Final = {"image_id": UUID, "project_id": PROJECT, "vault_id": UUID}

# -- the decision ------------------------------------------------------------------------------
#: IMS-members: the only two values of ``status``.
STATUSES: Final = ("accepted", "rejected")
#: IMS-sharing: what an image's owner does with a project; ours, since the calls have no status.
SHARE, UNSHARE = "share", "unshare"
SHARING: Final = (SHARE, UNSHARE)
#: All that the status column takes.
ACTS: Final = (*STATUSES, *SHARING)
#: What a reviewer may decide instead -> the act it stands for.
DECISIONS: Final = {"accept": "accepted", "reject": "rejected", SHARE: SHARE, UNSHARE: UNSHARE}
#: What people write instead. Only unambiguous words; each use is reported as a repair.
STATUS_WORDS: Final = {
    "accepted": "accepted",
    "rejected": "rejected",
    "accept": "accepted",
    "accepts": "accepted",
    "approve": "accepted",
    "approved": "accepted",
    "yes": "accepted",
    "y": "accepted",
    "ok": "accepted",
    "okay": "accepted",
    "reject": "rejected",
    "rejects": "rejected",
    "decline": "rejected",
    "declined": "rejected",
    "deny": "rejected",
    "denied": "rejected",
    "refuse": "rejected",
    "refused": "rejected",
    "no": "rejected",
    "n": "rejected",
    "share": "share",
    "shares": "share",
    "add member": "share",
    "unshare": "unshare",
    "unshares": "unshare",
    "un-share": "unshare",
    "stop sharing": "unshare",
    "withdraw": "unshare",
    "withdraws": "unshare",
    "remove member": "unshare",
}
#: States a share can be seen in (Glance); ``absent`` is ours: not shared with the project.
PENDING, ACCEPTED, REJECTED, ABSENT = "pending", "accepted", "rejected", "absent"
MEMBER_STATES: Final = (PENDING, ACCEPTED, REJECTED)
#: Words Glance prints for the *image*, which is not a decision about a share.
IMAGE_STATES: Final = frozenset(
    "active queued saving uploading importing killed deactivated deleted pending_delete "
    "pending".split()
)

# -- full-ECS images ---------------------------------------------------------------------------
TRUE_WORDS: Final = frozenset({"true", "yes", "y", "1", "x", "t"})
FALSE_WORDS: Final = frozenset({"false", "no", "n", "0", "", "f", "-"})
#: CBR-vaults: what a vault must be to take a full-ECS image.
VAULT_OBJECT_TYPE, VAULT_PROTECT_TYPE, VAULT_STATUS = "server", "backup", "available"
#: CBR-limits: a vault has at most this many resources (servers that it protects).
VAULT_RESOURCES: Final = 256
#: What is compared with a vault's free room (``size`` in GB less ``used`` in MB, CBR-vaults).
#: IMS-guide: the vault must hold the backups of the system disk and of all data disks; but images
#: are listed with their system disk alone (``min_disk``, GB), so this is the least they can need.
IMAGE_ROOM: Final = "at least the system disk (min_disk); no listing tells the data disks"

# -- jobs --------------------------------------------------------------------------------------
#: IMS-job prints SUCCESS and FAIL; IMS-members speaks of "success" and "failed". Compare lowered.
JOB_DONE: Final = frozenset({"success", "succeeded", "finished"})
JOB_FAILED: Final = frozenset({"fail", "failed", "error"})

# -- outcomes ----------------------------------------------------------------------------------
#: name -> what it means; the closed list of what can become of a row.
OUTCOMES: Final = {
    "confirmed": "the cloud was read back and shows the wanted state",
    "already": "the cloud showed the wanted state before; nothing was sent",
    "claimed": "the cloud said it succeeded, but could not be read back",
    "contradicted": "the cloud said one thing and showed another",
    "failed": "the cloud refused, with a code and a reason",
    "blocked": "a check forbade it; nothing was sent",
    "skipped": "the reviewer decided to leave it; nothing was sent",
    "duplicate": "carried by another row, which is named",
    "unknown": "sent, but neither answered nor observed; submit again to settle it",
    "pending": "not sent yet",
}
#: Outcomes that ask for no further action.
GOOD: Final = frozenset({"confirmed", "already", "skipped", "duplicate"})
#: Outcomes that another ``submit`` can still change.
OPEN: Final = frozenset({"unknown", "pending"})


class Remedy(StrEnum):
    """What to do with a refusal (IMS-errors)."""

    WAIT = "wait"  # flow control: the same request again, later; never split
    RETRY = "retry"  # a passing fault: the same request again with backoff
    SPLIT = "split"  # one image in it is bad: halve until it stands alone
    STOP_PROJECT = "stop-project"  # nothing more for this project
    FAIL_VAULT = "fail-vault"  # every chunk with this vault fails; never split
    SIGN_IN = "sign-in"  # authenticate again once, then the same request
    NATIVE = "native"  # this cloud lacks the batch call: one call per image


_CODES: Final = {
    Remedy.WAIT: "0060",
    Remedy.SPLIT: "0027 0031 0046 0066 0086 0144 0047 0076 0084 0089 0098 0106 0135 0161",
    Remedy.STOP_PROJECT: "0030 0067 0108 0026",
    Remedy.FAIL_VAULT: "0182 0184 0185 0188 0193",
    Remedy.SIGN_IN: "0087",
    Remedy.RETRY: "0014 0018 0023 0061",
}
#: IMS-errors: too many tasks at once, although it comes as HTTP 400.
FLOW_CONTROL: Final = "IMG.0060"
#: ``IMG.nnnn`` -> remedy.
REMEDIES: Final = {
    f"IMG.{number}": action for action, numbers in _CODES.items() for number in numbers.split()
}
#: Codes that blame a project; when an owner shares, that may be one of the projects shared with.
OF_PROJECT: Final = frozenset({"IMG.0030", "IMG.0067"})
#: Codes that say that the caller has no right to do this.
NO_RIGHT: Final = frozenset({"IMG.0026", "HTTP403"})
_MEANING: Final = {
    "0060": "too many tasks at once",
    "0027": "an image ID is unknown",
    "0031": "an image ID is wrong",
    "0046": "the image is not available",
    "0066": "the image is not available",
    "0086": "an image ID is wrong",
    "0144": "the image does not exist",
    "0047": "this caller cannot change the share",
    "0076": "this image cannot be shared",
    "0084": "this image is private",
    "0089": "a public image has no members",
    "0098": "an encrypted image cannot be shared",
    "0106": "this image cannot be shared",
    "0135": "this full-ECS image cannot be shared",
    "0161": "this full-ECS image cannot be shared",
    "0030": "the project is wrong",
    "0067": "the project is wrong",
    "0108": "the token belongs to another project",
    "0026": "no right to do this",
    "0182": "the vault has too little room for the full-ECS images",
    "0184": "the project has no such vault",
    "0185": "the vault has as many resources as it may have",
    "0188": "the vault is not available: it is locked, frozen, faulty or being deleted",
    "0193": "the vault is of the wrong type: not one for server backups",
    "0087": "the token is wrong or has expired",
    "0014": "the service had an internal fault",
    "0018": "the service had an internal fault",
    "0023": "the service had an internal fault",
    "0061": "the service had an internal fault",
}
#: ``IMG.nnnn`` -> what it means in plain words.
MEANINGS: Final = {f"IMG.{number}": text for number, text in _MEANING.items()}
#: ``IMG.nnnn`` -> what a person can do about it, where sharekit itself cannot.
ADVICE: Final = {
    "IMG.0182": "Enlarge the vault, remove old backups from it, or choose one with more room.",
    "IMG.0184": "Choose one of the project's own server backup vaults.",
    "IMG.0185": "Dissociate servers from the vault, or choose another one.",
    "IMG.0188": "Wait until the vault is available, or choose another one.",
    "IMG.0193": "Choose a vault that is meant for server backups.",
}
_HTTP: Final = {
    401: Remedy.SIGN_IN,
    403: Remedy.STOP_PROJECT,
    408: Remedy.RETRY,
    429: Remedy.WAIT,
}


def explained(code: str, said: str) -> str:
    """What a refusal means in plain words, what the cloud said, and what to do.

    Examples
    --------
    >>> explained("IMG.0193", "wrong vault")[:59]
    'the vault is of the wrong type: not one for server backups '
    >>> explained("HTTP409", "conflict")
    'conflict'
    """
    meaning, advice = MEANINGS.get(code), ADVICE.get(code)
    text = said if meaning is None or meaning in said else f"{meaning} ({said.rstrip('.')})"
    return text if advice is None or advice in text else f"{text.rstrip('.')}. {advice}"


def remedy(code: str, http: int) -> Remedy:
    """What to do after a refusal with this error code and HTTP status.

    The code decides where it is known; else the status. Anything else that is the request's fault
    (other 4xx, an unexplained failure of a job) may be the fault of one image, so it is split.

    Examples
    --------
    >>> remedy("IMG.0184", http=400)
    <Remedy.FAIL_VAULT: 'fail-vault'>
    >>> remedy("", http=503)
    <Remedy.RETRY: 'retry'>
    """
    if code in REMEDIES:
        return REMEDIES[code]
    if http in _HTTP:
        return _HTTP[http]
    if http == 404:
        return Remedy.NATIVE
    return Remedy.RETRY if http >= 500 else Remedy.SPLIT


# -- limits and careful defaults --------------------------------------------------------------
#: IMS-members documents no maximum, so the default chunk is small and a setting.
CHUNK_SIZE: Final = 50
#: IMS-sharing: an image reaches at most so many projects, a full-ECS image fewer.
MOST_PROJECTS, MOST_PROJECTS_FULL_ECS = 256, 10
#: Listings: IMS answers at most this many images a page by default.
PAGE_SIZE: Final = 500
#: CBR-vaults: the largest page.
VAULT_PAGE: Final = 1000
#: A token is renewed so long before its end (keystoneauth1's own default).
TOKEN_MARGIN_SECONDS: Final = 120.0
#: How long to wait before each new sign-in when a token is refused; after the last one it is over.
#: Keystone revokes by whole seconds: a token made in the same second is refused too (observed).
SIGN_IN_WAITS: Final = (0.0, 1.1, 2.2)
#: IMS-job: update jobs were sampled at 0.6 to 0.9 seconds.
FIRST_POLL_SECONDS: Final = 1.0
LAST_POLL_SECONDS: Final = 10.0

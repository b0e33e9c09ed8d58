"""What is known of the clouds' APIs: limits, page sizes, job words, and what error codes mean.

Sources: ``IMS-members``, ``IMS-sharing`` (see :mod:`sharekit.core.actions`); ``IMS-job`` is the
same API, *Asynchronous Job Query*, and ``IMS-errors`` its *Error Codes*; ``CBR-vaults`` is Cloud
Backup and Recovery API, *Querying the Vault List*; ``CBR-limits`` the same service, *Constraints*;
``IMS-guide`` is Image Management Service, *User Guide*; ``observed`` was seen on a running Keystone
30 and Glance 33.

Examples
--------
>>> remedy("IMG.0060", http=400)
<Remedy.WAIT: 'wait'>
>>> remedy("", http=404)
<Remedy.NATIVE: 'native'>
"""

from __future__ import annotations

from enum import StrEnum
from re import search, sub
from typing import Final

#: CBR-vaults: what a vault must be to take a full-ECS image.
VAULT_OBJECT_TYPE, VAULT_PROTECT_TYPE, VAULT_STATUS = "server", "backup", "available"
#: CBR-limits: a vault has at most this many resources (servers that it protects).
VAULT_RESOURCES: Final = 256
# What is compared with a vault's free room (``size`` in GB less ``used`` in MB, CBR-vaults).
# IMS-guide: the vault must hold the backups of the system disk and of all data disks; but images
# are listed with their system disk alone (``min_disk``, GB), so this is the least they can need.

#: IMS-job prints SUCCESS and FAIL; IMS-members speaks of "success" and "failed". Compare lowered.
JOB_DONE: Final = frozenset({"success", "succeeded", "finished"})
JOB_FAILED: Final = frozenset({"fail", "failed", "error"})
#: IMS-members documents no maximum, so the default chunk is small and a setting.
CHUNK_SIZE: Final = 50
#: IMS-sharing: an image reaches at most so many projects, a full-ECS image fewer.
MAX_PROJECTS, MAX_PROJECTS_FULL_ECS = 256, 10
#: Listings: IMS answers at most this many images a page by default.
PAGE_SIZE: Final = 500
#: Shares of one project whose times an audit looks up, one request each; a choice of ours.
DATE_LOOKUPS: Final = 200
#: CBR-vaults: the largest page.
VAULT_PAGE_SIZE: Final = 1000
#: A token is renewed so long before its end (keystoneauth1's own default).
TOKEN_MARGIN_SECONDS: Final = 120.0
#: How long to wait before each new sign-in when a token is refused; after the last one it is over.
#: Keystone revokes by whole seconds: a token made in the same second is refused too (observed).
SIGN_IN_WAITS: Final = (0.0, 1.1, 2.2)
#: IMS-job: update jobs were sampled at 0.6 to 0.9 seconds.
MIN_POLL_SECONDS: Final = 1.0
MAX_POLL_SECONDS: Final = 10.0


# -- error codes ----------------------------------------------------------------------------------
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
BLAMES_PROJECT: Final = frozenset({"IMG.0030", "IMG.0067"})
#: Codes that say that the caller has no right to do this.
FORBIDDEN_CODES: Final = frozenset({"IMG.0026", "HTTP403"})
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


def explain(code: str, said: str) -> str:
    """What a refusal means in plain words, what the cloud said, and what to do.

    Examples
    --------
    >>> explain("IMG.0193", "wrong vault")[:59]
    'the vault is of the wrong type: not one for server backups '
    >>> explain("HTTP409", "conflict"), explain("IMG.0046", " ()"), explain("JOB_FAILED", " ()")
    ('conflict', 'the image is not available', 'the cloud gave no reason (JOB_FAILED)')
    """
    meaning, advice, said = MEANINGS.get(code), ADVICE.get(code), sub(r"\s*\(\s*\)\W*$", "", said)
    text = meaning or f"the cloud gave no reason ({code})"
    if search(r"\w", said):
        whole = meaning is None or meaning in said
        text = said if whole else f"{meaning} ({said.rstrip('.')})"
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

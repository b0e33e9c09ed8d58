"""What an answer to a request means: the same for a run, and for whoever makes it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sharekit.core.actions import OWNER, UNSHARE, is_satisfied
from sharekit.core.cloud_api import BLAMES_PROJECT, Remedy, remedy

from .log import Request

#: How a request ended that was answered without a job, and without a state of its share.
AT_ONCE: Final = "answered at once"
#: The status of a response that has no body.
_EMPTY: Final = 204
_AGAIN, _REFUSED = frozenset({"retry_scheduled"}), frozenset({"refused"})
#: Remedy -> events that may follow on a refusal which calls for it.
_FOLLOWING: Final[Mapping[Remedy, frozenset[str]]] = {
    Remedy.WAIT: _AGAIN,
    Remedy.SIGN_IN: _AGAIN,
    Remedy.RETRY: _AGAIN | _REFUSED,
    Remedy.NATIVE: _REFUSED,
    Remedy.SPLIT: _REFUSED,
    Remedy.STOP_PROJECT: _REFUSED,
    Remedy.FAIL_VAULT: _REFUSED,
}
#: A gateway gave up on a request; the service behind it may still carry it out.
GATEWAY_TIMEOUT: Final = 504
#: The code of a request that did not leave, so that no answer can have come.
NOT_SENT: Final = "not-sent"
#: The codes of a job that did not end in time, and of one that nobody may ask for.
JOB_LATE: Final = "job-late"
JOB_DENIED: Final = "job-denied"


def answer_fault(request: Request, http: int, job_id: str, state: str) -> str:
    """Return why a success says nothing of what was asked, ``""`` if it does."""
    if http == _EMPTY and (job_id or state):
        return f"the cloud answered HTTP {http}, which has no body, with a job or a state"
    if request.response.api == "batch":
        return "" if job_id else f"the cloud answered HTTP {http} without the ID of a job"
    if job_id or http >= 400:  # 409 and 404: maybe done before, which reading back tells
        return ""
    if request.action == UNSHARE:  # what is gone has no state
        good = not state or is_satisfied(UNSHARE, state)
    else:
        good = is_satisfied(request.action, state)
    shown = f"a share in the state {state!r:.80}" if state else "no state"
    return "" if good else f"the cloud answered HTTP {http} with {shown}"


def remedy_of(request: Request, code: str, http: int) -> Remedy:
    """Return the remedy; an owner's request may fail for one image or project of it alone."""
    native_forbidden = request.response.api == "native" and http == 403
    if request.role == OWNER and (code in BLAMES_PROJECT or native_forbidden):
        return Remedy.SPLIT
    return remedy(code, http or 400)


def may_follow(request: Request, kind: str, code: str, http: int) -> bool:
    """Return True if a request, under way, can be sent again or be refused after an answer."""
    if kind == "retry_scheduled" and request.state == "running":  # its job has failed
        return not http and remedy_of(request, code, 0) in (Remedy.WAIT, Remedy.RETRY)
    if kind == "retry_scheduled" and code == NOT_SENT:
        return not http
    if http < 400 or not code or http == GATEWAY_TIMEOUT:
        return False
    if code.startswith("HTTP") and code != f"HTTP{http}":
        return False
    action = remedy_of(request, code, http)
    if action is Remedy.NATIVE and request.response.api == "batch":
        return kind in _AGAIN
    return kind in _FOLLOWING[action]

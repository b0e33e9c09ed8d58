"""One HTTP request at a time, with each way it can end as an exception of its own.

A response below 400 is returned; any other raises :class:`~.CloudRefusedError`. Without a usable
response :class:`~.NoResponseError` is raised, which knows whether the request can have left.
Requests that read may be repeated, if the caller asks; requests that change something never are.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from html import unescape
from math import inf
from re import fullmatch, search, sub
from time import monotonic, time
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session, TCPKeepAliveAdapter
from requests.auth import AuthBase
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from sharekit.core.brakes import WAITS, RateLimiter, backoff, excess
from sharekit.core.cloud_api import (
    FORBIDDEN_CODES,
    SIGN_IN_WAITS,
    TOKEN_MARGIN_SECONDS,
    Remedy,
    remedy,
)
from sharekit.core.errors import (
    CloudError,
    CloudRefusedError,
    NoResponseError,
    RedirectedError,
    SignInError,
    StoppedError,
    TokenRefusedError,
)
from sharekit.core.monitoring.logs import Secrets, clean_frames, fingerprint, redact

from .http_limits import MAX_BYTES, TIMED, ResponseTooLarge, read_content
from .responses import parse_json, sanitize, sanitize_name

_log = logging.getLogger("sharekit.clouds")
_UNLIMITED: Final = RateLimiter(0)
#: Huawei Cloud and Open Telekom Cloud refuse signatures when the clocks differ by 15 minutes; a
#: third of that is worth a word.
_SKEW_SECONDS: Final = 300.0
#: Bytes of an error page that are searched for a message.
_ERROR_BYTES: Final = 8_000
#: Seconds of the longest wait that is understood.
_MAX_RETRY_AFTER: Final = 86_400.0
#: Sign-ins for one request, however well others fare.
_SIGN_INS: Final = 10
#: Seconds of the first and the longest pause between two attempts to read.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_REQUEST_IDS: Final = ("X-Request-Id", "X-Openstack-Request-Id")
#: What a cache on the way has from the past, or from another project, is no answer.
_HEADERS: Final = {"Accept": "application/json", "Cache-Control": "no-cache"}
_CHECK: Final = "Check the network and the endpoint in clouds.yaml, then run this again."

#: Settings by which an entry asks for a scope.
_SCOPE: Final = (
    "project_id",
    "project_name",
    "domain_id",
    "domain_name",
    "system_scope",
    "trust_id",
)
#: Names of fields in a sign-in's body.
_FIELDS: Final = frozenset("password name user id passcode secret domain project token".split())
_NO_DOMAIN: Final = (
    "the sign-in service expects to find domain in {0}. Correct this cloud's entry in clouds.yaml: "
    "add {0}_domain_name, or identity_api_version: 3 for the domain `default`."
)
#: Part of an answer of Keystone -> what it means; no other text of such an answer is passed on.
_SIGN_IN_ANSWERS: Final = {
    "Application credentials cannot request a scope": "application credentials belong to one "
    "project and cannot ask for it: take {scope} out of this entry in clouds.yaml.",
    "Expecting to find domain in user": _NO_DOMAIN.format("user"),
    "Expecting to find domain in project": _NO_DOMAIN.format("project"),
    "password is expired": "the password has expired. Set a new one.",
    "account is locked": "the account is locked after too many sign-ins. Wait, or ask its cloud's "
    "administrator.",
}


class LimitedAdapter(TCPKeepAliveAdapter):
    """Sends every request of a session, sign-in included: limits its response and logs it."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of a host, whose responses have a deadline; through proxies as well."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = TIMED.get(pool.ConnectionCls, pool.ConnectionCls)
        return pool

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request and read its whole response."""
        began = monotonic()
        try:
            response = super().send(request, *args, **kwargs)
            response._content = read_content(response)
        except Exception as error:
            _log_request(request, f"no response ({type(error).__name__})", began)
            raise
        _log_request(request, str(response.status_code), began, _request_id(response))
        return response


class CachedEnvironmentSession(requests.Session):
    """Reads proxies and CA file from the environment once for each host, not at every request.

    That takes 0.10 ms of the 0.37 ms of CPU time of a request (measured with requests 2.34).
    """

    def __init__(self) -> None:
        super().__init__()
        self._environment: dict[tuple[object, ...], Any] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, *settings: Any) -> Any:
        """Return the settings of a host; keystoneauth never has ``proxies`` of its own."""
        key = (*urlsplit(str(url))[:2], *settings)
        if key not in self._environment:
            merged = super().merge_environment_settings(url, proxies, *settings)
            self._environment[key] = merged
        return self._environment[key]


def _log_request(
    request: requests.PreparedRequest, result: str, began: float, request_id: str = ""
) -> None:
    """Log a request without its headers and body: those of a sign-in hold the password."""
    if not _log.isEnabledFor(logging.DEBUG):
        return
    token = request.headers.get("X-Auth-Token")
    key = search(r"Access=([^\s,]+)", str(request.headers.get("Authorization", "")))
    credential = f"token {fingerprint(str(token))}" if token else ""
    _log.debug(
        "%s %s: %s in %.3f s, request %s, %s",
        request.method,
        _shown(request.url),
        result,
        monotonic() - began,
        redact(request_id) or "without ID",
        f"access key {fingerprint(key[1])}" if key else credential or "no token",
    )


@dataclass(frozen=True)
class Reply:
    """A response: HTTP status, JSON body, the provider's request ID."""

    http: int
    body: Mapping[str, Any]
    request_id: str


@dataclass
class Transport:
    """Requests for one project over one signed-in session; safe to use from several threads.

    ``beside`` returns the address of the smallest listing of the service at an address, ``""`` for
    none: what that shows tells if only one request is refused.
    """

    session: Session
    name: str
    timeout: tuple[float, float] = (10.0, 60.0)
    read_attempts: int = 6
    limiter_of: Callable[[str], RateLimiter] = field(default=lambda _: _UNLIMITED, repr=False)
    signer: AuthBase | None = field(default=None, repr=False)
    secrets: Secrets = field(default_factory=Secrets, repr=False)
    beside: Callable[[str], str] = field(default=lambda _: "", repr=False)
    _token_lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _skew: str = field(default="", repr=False)
    _last_success: float = field(default=-inf, repr=False)

    def call(
        self, method: str, url: str, *, body: object = None, token: str = "", **params: Any
    ) -> Reply:
        """Make one request, once, with the given token or the one in use.

        Raises
        ------
        CloudRefusedError
            If the cloud responded with an error.
        NoResponseError
            If no usable response came; ``sent`` is False if the request certainly never left.
        SignInError
            If the sign-in fails.
        """
        token = token or self.token()
        self.limiter_of(urlsplit(url).netloc).wait()
        try:
            response = self.session.request(
                url,
                method,
                json=body,
                params={k: v for k, v in params.items() if v is not None} or None,
                headers=_HEADERS | ({"X-Auth-Token": token} if token else {}),
                requests_auth=self.signer,
                authenticated=False,
                raise_exc=False,
                redirect=False,
                timeout=self.timeout,
                log=False,
            )
        except (ksa.ClientException, OSError) as error:
            reason, sent = _classify(error)
            raise NoResponseError(
                f"{self.name}: {_host(url)} {reason}. {_CHECK}", sent=sent
            ) from None
        return self._parse(response)

    @clean_frames
    def read(self, url: str, **params: Any) -> Reply:
        """GET; repeat with backoff at temporary faults, and sign in again once."""
        attempt, since, waits = 1, inf, WAITS.get()
        while True:
            try:
                return self.get(url, **params)
            except (CloudRefusedError, NoResponseError) as error:
                failure, since = error, min(since, monotonic())
            action = _remedy(failure)
            last = action is Remedy.RETRY and attempt >= self.read_attempts
            if last or action not in (Remedy.RETRY, Remedy.WAIT):
                raise self._unread(url, failure, _advice(failure)) from None
            asked = getattr(failure, "retry_after", None)
            wait = backoff(_FIRST_PAUSE, _LONGEST_PAUSE, attempt, asked)
            # Flow control that holds one request alone, while others pass, is that one's own fault.
            alone = attempt >= self.read_attempts and self._passes_others(url, params, since)
            cause = Remedy.RETRY if alone else action
            if why := excess(cause, monotonic() - since, wait, waits):
                raise self._unread(url, failure, f"Run this again later: {why}.") from None
            waits.rest(
                wait, f"{self.name}: attempt {attempt} to read {_shown(url)}: {_said(failure)}"
            )
            attempt += 1

    def _passes_others(self, url: str, params: Mapping[str, Any], since: float) -> bool:
        """Return True if another request has succeeded since then; where none has, try one."""
        listing, smallest = self.beside(url), {"limit": 1}
        if self._last_success <= since and listing and (listing, smallest) != (url, dict(params)):
            with suppress(CloudError):
                self.get(listing, **smallest)
        return self._last_success > since

    def _unread(
        self, url: str, failure: CloudRefusedError | NoResponseError, advice: str
    ) -> CloudError:
        """Return the error of something that cannot be read, with the next step."""
        if isinstance(failure, NoResponseError):
            return failure
        message = f"{self.name}: {_shown(url)} responded {_said(failure).rstrip('.')}."
        return CloudRefusedError(
            f"{message} {advice}",
            http=failure.http,
            code=failure.code,
            request_id=failure.request_id,
            retry_after=failure.retry_after,
        )

    @clean_frames
    def get(self, url: str, **params: Any) -> Reply:
        """GET once; while the token is refused, sign in again and repeat, a few times."""
        attempts, since = 0, monotonic()
        while True:
            token = self.token()
            try:
                return self.call("GET", url, token=token, **params)
            except CloudRefusedError as refusal:
                if remedy(refusal.code, refusal.http) is not Remedy.SIGN_IN:
                    raise
                wait = self.reauthenticate(refusal, token, attempts, since)
            WAITS.get().rest(wait, f"{self.name}: signing in again")
            attempts, since = attempts + 1, monotonic()

    def reauthenticate(
        self, refusal: CloudRefusedError, stale: str, attempts: int, since: float
    ) -> float:
        """Forget a refused token; return the seconds to wait before the next attempt.

        Raises
        ------
        TokenRefusedError
            If that was tried often enough, and no request has succeeded ``since`` the attempt
            before, or far too often.
        """
        if self.signer is not None:
            raise TokenRefusedError(
                f"{self.name}: the cloud refuses the access key: {refusal}. Check ak, sk and "
                f"security_token{self._skew or ', and that the key may use this project'}."
            ) from None
        useless = self._last_success < since or attempts >= _SIGN_INS
        if attempts >= len(SIGN_IN_WAITS) and useless:
            raise TokenRefusedError(
                f"{self.name}: the cloud refuses the token right after signing in: {refusal}. "
                "Check whether the user still has a role in this project."
            ) from None
        _log.info("%s: token refused (%s), signing in again", self.name, refusal.code)
        self.invalidate_token(stale)
        return SIGN_IN_WAITS[min(attempts, len(SIGN_IN_WAITS) - 1)]

    def invalidate_token(self, stale: str) -> None:
        """Forget a stale token, unless another thread has replaced it already."""
        with self._token_lock:
            if self.token() == stale:
                self.session.invalidate()

    @clean_frames
    def token(self) -> str:
        """Return the token in use (never print or store it); "" where requests are signed."""
        if self.signer is not None:
            return ""
        # An error of keystoneauth may have the password in it: it is no cause or context of ours.
        try:
            # keystoneauth1 fails if one thread asks for a token while another forgets it.
            with self._token_lock:
                token = self.session.get_token()
                _adapt_token_margin(self.session.auth)
            failure = None
        except StoppedError:
            raise
        except Exception as error:  # noqa: BLE001 - keystoneauth's own are of no common class
            failure = _sign_in_failure(error, self.session.auth, self.name)
        if failure is not None:
            raise failure
        if not token:
            raise SignInError(f"{self.name}: these credentials give no token.")
        self.secrets.add(str(token))
        return str(token)

    def _parse(self, response: requests.Response) -> Reply:
        status = response.status_code
        if age := _age(response):
            raise NoResponseError(
                f"{self.name}: {_shown(response.url)} responded through a cache, with what the "
                f"service said {age:,.0f} s ago. Let that cache pass these requests."
            )
        body = parse_json(response.content) if response.content else {}
        body = self.secrets.masked(body)
        request_id = self.secrets.mask(_request_id(response))
        if 300 <= status < 400:
            raise RedirectedError(
                f"{self.name}: {_shown(response.url)} redirects elsewhere, which is never followed "
                "with a token. Correct the endpoint."
            )
        if status < 400 and body is not None and _is_success(body):
            self._last_success = monotonic()
            return Reply(status, body, request_id)
        if status < 400 and body is None:
            raise NoResponseError(
                f"{self.name}: {_shown(response.url)} responded with something that is not JSON. "
                "Check the endpoint; a proxy or a login page may be in between."
            )
        if self.signer is not None and status in (401, 403):
            self._skew = _skew(response.headers.get("Date"))
        code, message = error_of(body or {})
        if not message:
            text = str(response.reason) if body == {} else _text(response)
            message = sanitize_name(self.secrets.mask(text))
        raise CloudRefusedError(
            redact(message),
            # An error in a response with status 200 counts as a bad request.
            http=max(400, status),
            code=code if fullmatch(r"IMG\.\w{1,20}", code) else f"HTTP{status}",
            request_id=request_id,
            retry_after=_retry_after(response.headers.get("Retry-After")),
        )


def _sign_in_failure(error: Exception, auth: Any, name: str) -> CloudError:
    """Return what became of a sign-in, in known sentences: services repeat what they were sent."""
    if isinstance(error, ksa.HttpError) and error.http_status in (400, 401, 403, 404):
        return SignInError(f"{name}: {_refusal(error, auth)}")
    if isinstance(error, ksa.ClientException):
        service = getattr(auth, "auth_url", None) or "the sign-in service"
        return CloudError(
            f"{name}: {redact(service)} {_classify(error)[0]}, so nobody can sign in. "
            "Check auth_url in clouds.yaml and the network, then run this again."
        )
    return SignInError(
        f"{name}: nobody can sign in ({type(error).__name__}). Correct this cloud's entry in "
        "clouds.yaml or secure.yaml."
    )


def _refusal(error: ksa.HttpError, auth: Any) -> str:
    text = str(error.message or "")
    scope = [key for key in _SCOPE if getattr(auth, key, None)] or ["project_id"]
    known = next((why for part, why in _SIGN_IN_ANSWERS.items() if part in text), "")
    if known:
        return known.format(scope=" and ".join(scope))
    if field := fullmatch(r"(?s)Invalid input for field '?(?:\w+/)*(\w+)'?.*", text):
        value = field[1] if field[1] in _FIELDS else "one of the credentials"
        return (
            f"the sign-in service does not take {value} in this form. Correct this cloud's entry "
            "in clouds.yaml."
        )
    if error.http_status == 400:
        return (
            "the sign-in service does not understand these credentials. Check user, project, "
            "their domains and auth_url in this cloud's entry in clouds.yaml."
        )
    return (
        "sign-in was refused. Check user, password and project of this cloud in clouds.yaml, and "
        "whether a token or credential in it has ended."
    )


def _remedy(error: CloudRefusedError | NoResponseError) -> Remedy:
    if isinstance(error, NoResponseError):
        return Remedy.RETRY
    return remedy(error.code, error.http)


def _said(failure: CloudRefusedError | NoResponseError) -> str:
    """Return the message of a failure, with its code."""
    text, code = sanitize(failure), getattr(failure, "code", "")
    return text if code in text else f"{code}: {text}"


def _advice(refusal: CloudRefusedError | NoResponseError) -> str:
    """Return the next step when something could not be read."""
    if isinstance(refusal, NoResponseError):
        return _CHECK
    if refusal.http == 403 or refusal.code in FORBIDDEN_CODES:
        return "Ask for the right to read this in the project."
    if refusal.http == 404:
        return "Check the region and the endpoint in clouds.yaml."
    return "Run this again later; if it stays so, ask the provider."


def _adapt_token_margin(auth: Any) -> None:
    """Renew short-lived tokens so late that each serves for more than one request."""
    access = getattr(auth, "auth_ref", None)
    if access is None or getattr(auth, "sharekit_adapted_to", None) is access:
        return
    auth.sharekit_adapted_to = access
    if access.expires and access.issued:
        lifetime = (access.expires - access.issued).total_seconds()
        auth.MIN_TOKEN_LIFE_SECONDS = min(TOKEN_MARGIN_SECONDS, lifetime / 4)


def _is_success(body: Mapping[str, Any]) -> bool:
    """Return False for the errors that some gateways send with status 200.

    Jobs, which have a ``status``, have an ``error_code`` of their own.
    """
    return "error" not in body and ("status" in body or not body.get("error_code"))


def error_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return code and message of an error body, in any of the forms these clouds use.

    >>> error_of({"error": {"code": "IMG.0060", "message": "flow control"}})
    ('IMG.0060', 'flow control')
    >>> error_of({"error_code": "IMG.0027", "error_msg": "no such image"})
    ('IMG.0027', 'no such image')
    """
    while isinstance(inner := body.get("error"), Mapping):
        body = inner
    code = next((body[k] for k in ("error_code", "errorCode", "code") if body.get(k)), "")
    text = next((body[k] for k in ("error_msg", "errorMsg", "message", "title") if body.get(k)), "")
    return sanitize_name(code), sanitize(_without_tags(unescape(str(text)[:_ERROR_BYTES])))


def _text(response: requests.Response) -> str:
    # Not response.text: guessing the encoding of a long text takes long.
    start = response.content[:_ERROR_BYTES].decode("utf-8", "replace")
    return _without_tags(start) if _without_tags(start).strip() else str(response.reason)


def _without_tags(text: str) -> str:
    return sub(r"<[^>]*>", " ", text)


def _request_id(response: requests.Response) -> str:
    return sanitize_name(next(filter(None, map(response.headers.get, _REQUEST_IDS)), ""))


def _skew(date: str | None) -> str:
    """Return what to add to a message if the local clock is off by more than a few minutes.

    >>> _skew("Thu, 01 Jan 1970 00:00:00 GMT")[:27]
    '; the local clock is off by'
    """
    at = _timestamp(date)
    off = 0.0 if at is None else time() - at
    if abs(off) < _SKEW_SECONDS:
        return ""
    return f"; the local clock is off by {abs(off) / 60:,.0f} minutes"


def _timestamp(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _age(response: requests.Response) -> float:
    """Return the seconds since a service said what a cache responds with; 0 without a cache.

    A cache that warns and does not say since when has a second.
    """
    age = response.headers.get("Age") or ""
    if response.request is not None and response.request.method != "GET":
        return 0.0
    warns = (response.headers.get("Warning") or "").startswith(("110", "111", "113"))
    return float(age) if fullmatch(r"\d{1,12}", age) and int(age) else float(warns)


def _retry_after(value: str | None) -> float | None:
    if not value:
        return None
    if value.isdecimal():
        return min(float(value), _MAX_RETRY_AFTER)
    at = _timestamp(value)
    return None if at is None else min(max(0.0, at - time()), _MAX_RETRY_AFTER)


def _classify(error: BaseException) -> tuple[str, bool]:
    """Return why there is no response, and whether the request can have left all the same."""
    if type(error) is OSError:  # what requests raises for certificates that are not files
        return f"cannot be connected to: {error}", False
    chain = list(_causes(error))
    for kind, reason, sent in _FAILURES:
        if any(isinstance(cause, kind) for cause in chain):
            return reason, sent
    return f"gave no usable response ({type(error).__name__})", True


def _causes(error: BaseException | None) -> Iterator[object]:
    while error is not None:
        # urllib3's own error is in `reason` of the first argument of requests' error.
        inner = error.args[0] if error.args else None
        yield from (error, inner, getattr(inner, "reason", None))
        error = error.__cause__ or error.__context__


#: Exception -> reason, and whether the request can have left.
_FAILURES: Final[tuple[tuple[type | tuple[type, ...], str, bool], ...]] = (
    (requests.exceptions.ProxyError, "cannot be reached: the proxy refuses (HTTPS_PROXY)", False),
    (NameResolutionError, "cannot be found: its name does not resolve", False),
    # The order matters: to urllib3 a refused connection is a kind of connection time-out.
    (NewConnectionError, "cannot be reached: it refuses connections", False),
    (ConnectTimeoutError, "does not answer: no connection in time", False),
    ((ksa.SSLError, requests.exceptions.SSLError), "failed the TLS check", False),
    (ResponseTooLarge, f"sends more than {MAX_BYTES >> 20} MiB in one response", True),
    ((ksa.ConnectTimeout, requests.Timeout, ReadTimeoutError), "did not answer in time", True),
    ((ksa.ConnectFailure, requests.ConnectionError), "cut the connection", True),
)


def _shown(url: str | None) -> str:
    return redact(sanitize(url))


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

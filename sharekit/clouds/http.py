"""One HTTP call at a time, with every way it can end told apart.

A response below 400 is returned; any other raises :class:`~.CloudRefusedError`. Without a usable
response :class:`~.NoResponseError` is raised, which knows whether the request can have left.
Nothing is repeated here unless the caller asks (reading calls may, changing calls never).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from html import unescape
from math import inf
from re import fullmatch, sub
from time import monotonic, time
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
from keystoneauth1 import exceptions as ksa
from keystoneauth1.session import Session
from requests.auth import AuthBase
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from sharekit.core.api import SIGN_IN_WAITS, TOKEN_MARGIN_SECONDS
from sharekit.core.error_codes import FORBIDDEN_CODES, Remedy, remedy
from sharekit.core.errors import CloudError, CloudRefusedError, NoResponseError, SignInError

from .bounds import MOST_BYTES, Endless
from .pace import Pace
from .responses import brief, decoded, name

_NO_LIMIT = Pace(0)
#: Signatures are refused when clocks differ by more than a quarter of an hour.
_SKEW_SECONDS = 300.0
#: Of a text that is none of ours so much is looked at; a wait that is asked for is no longer.
_READ, _LONGEST = 8_000, 3_600.0


@dataclass(frozen=True)
class Reply:
    """What came back: HTTP status, JSON body, the provider's request id."""

    http: int
    body: Mapping[str, Any]
    request_id: str


@dataclass
class Transport:
    """Calls for one project over one signed-in session; safe to use from several threads."""

    session: Session
    name: str
    timeout: tuple[float, float] = (10.0, 60.0)
    read_attempts: int = 6
    sleep: Callable[[float], None] = tenacity.nap.sleep
    pace: Callable[[str], Pace] = field(default=lambda _: _NO_LIMIT, repr=False)
    signature: AuthBase | None = field(default=None, repr=False)
    _signing_in: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _skew: str = field(default="", repr=False)
    _good_at: float = field(default=-inf, repr=False)

    def call(
        self, method: str, url: str, *, body: object = None, token: str = "", **params: Any
    ) -> Reply:
        """Make one request, once, with the token in use or the one given.

        Raises
        ------
        CloudRefusedError
            The cloud answered with an error.
        NoResponseError
            No answer came; ``sent`` is False if the request surely never left.
        SignInError
            No token could be had.
        """
        token = token or self._token()
        self.pace(urlsplit(url).netloc).wait()
        try:
            response = self.session.request(
                url,
                method,
                json=body,
                params={k: v for k, v in params.items() if v is not None} or None,
                headers={"Accept": "application/json"} | ({"X-Auth-Token": token} if token else {}),
                requests_auth=self.signature,
                authenticated=False,
                raise_exc=False,
                redirect=False,
                timeout=self.timeout,
            )
        except (ksa.ClientException, OSError) as error:
            why, left = _fate(error)
            told = f"{self.name}: {_host(url)} {why}. {_CHECK}"
            raise NoResponseError(told, sent=left) from None
        return self._judge(response)

    def read(self, url: str, **params: Any) -> Reply:
        """GET, repeated with backoff while the fault is a passing one, signing in anew once."""

        def passing(error: BaseException) -> bool:
            if isinstance(error, NoResponseError):
                return True
            if not isinstance(error, CloudRefusedError):
                return False
            return remedy(error.code, error.http) in (Remedy.RETRY, Remedy.WAIT)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(passing),
            stop=tenacity.stop_after_attempt(self.read_attempts),
            wait=_wait,
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return retrying(self.get, url, **params)
        except CloudRefusedError as refusal:
            code = "" if refusal.code in str(refusal) else f"{refusal.code}: "
            told = f"{self.name}: {url} says {code}{str(refusal).rstrip('.')}. {_next(refusal)}"
            raise CloudRefusedError(
                told, http=refusal.http, code=refusal.code, request_id=refusal.request_id
            ) from None

    def get(self, url: str, **params: Any) -> Reply:
        """GET once; while the token is refused, sign in anew and try again, a few times."""
        began, tries = monotonic(), 0
        while True:
            token = self._token()
            try:
                return self.call("GET", url, token=token, **params)
            except CloudRefusedError as refusal:
                if remedy(refusal.code, refusal.http) is not Remedy.SIGN_IN:
                    raise
                self.sleep(self.sign_in_anew(refusal, token, tries, began))
                tries += 1

    def sign_in_anew(
        self, refusal: CloudRefusedError, stale: str, tries: int, since: float
    ) -> float:
        """Forget a refused token; returns how long to wait before the next try.

        Raises
        ------
        SignInError
            If that was tried often enough, and no token has been good ``since`` the first try.
        """
        if self.signature is not None:
            raise SignInError(
                f"{self.name}: the cloud refuses the access key: {refusal}. Check ak, sk and "
                f"security_token{self._skew or ', and that the key may use this project'}."
            ) from None
        if tries >= len(SIGN_IN_WAITS) and self._good_at < since:
            raise SignInError(
                f"{self.name}: the cloud refuses the token right after signing in: {refusal}. "
                "Check whether the user still has a role in this project."
            ) from None
        self.renew(stale)
        return SIGN_IN_WAITS[min(tries, len(SIGN_IN_WAITS) - 1)]

    def renew(self, stale: str | None = None) -> None:
        """Forget a stale token, unless another thread has replaced it already."""
        if self.signature is not None:
            return
        with self._signing_in:
            if stale is None or self._token() == stale:
                self.session.invalidate()

    def token(self) -> str:
        """Return the token in use (never print or store it); "" where requests are signed."""
        return self._token()

    def _token(self) -> str:
        if self.signature is not None:
            return ""
        try:
            # keystoneauth1 fails where another thread forgets a token while one asks for it.
            with self._signing_in:
                token = self.session.get_token()
                _careful(self.session.auth)
        except (ksa.Unauthorized, ksa.Forbidden, ksa.NotFound):
            raise SignInError(
                f"{self.name}: sign-in was refused. Check user, password and project of this "
                "cloud in clouds.yaml, and whether a token or credential in it has ended."
            ) from None
        except ksa.BadRequest as error:
            why = error.message.partition(". ")[0].partition(" (HTTP")[0]
            raise SignInError(
                f"{self.name}: the sign-in service does not understand these credentials: {why}. "
                "Correct this cloud's entry in clouds.yaml."
            ) from None
        except ksa.ClientException as error:
            where = getattr(self.session.auth, "auth_url", None) or "the sign-in service"
            raise CloudError(
                f"{self.name}: {where} {_fate(error)[0]}, so nobody can sign in. Check auth_url in "
                "clouds.yaml and the network, then run this again."
            ) from None
        except Exception as error:  # noqa: BLE001 - keystoneauth's own, for a missing password
            raise SignInError(
                f"{self.name}: nobody can sign in: {error}. Correct this cloud's entry in "
                "clouds.yaml or secure.yaml."
            ) from None
        if not token:
            raise SignInError(f"{self.name}: these credentials give no token.")
        return str(token)

    def _judge(self, response: requests.Response) -> Reply:
        request_id = next(
            (
                response.headers[name]
                for name in ("X-Request-Id", "X-Openstack-Request-Id")
                if name in response.headers
            ),
            "",
        )
        body = decoded(response.content) if response.content else {}
        if 300 <= response.status_code < 400:
            raise CloudError(
                f"{self.name}: {brief(response.url)} redirects elsewhere, which is never "
                "followed with a token. Correct the endpoint."
            )
        if response.status_code < 400 and body is not None and _means_yes(body):
            self._good_at = monotonic()
            return Reply(response.status_code, body, name(request_id))
        if body is None and response.status_code < 400:
            raise NoResponseError(
                f"{self.name}: {brief(response.url)} answered something that is not JSON. "
                "Check the endpoint; a proxy or a login page may be in between."
            )
        if self.signature is not None and response.status_code in (401, 403):
            self._skew = _skew(response.headers.get("Date"))
        code, message = error_of(body or {})
        raise CloudRefusedError(
            message or (name(response.reason) if body == {} else _text(response)),
            # An error under a status that means success is told as a bad request.
            http=max(400, response.status_code),
            code=code if fullmatch(r"IMG\.\w{1,20}", code) else f"HTTP{response.status_code}",
            request_id=name(request_id),
            retry_after=_retry_after(response.headers.get("Retry-After")),
        )


_CHECK = "Check the network and the endpoint in clouds.yaml, then run this again."


def _next(refusal: CloudRefusedError) -> str:
    """What to do when something could not be read."""
    if refusal.http == 403 or refusal.code in FORBIDDEN_CODES:
        return "Ask for the right to read this in the project."
    if refusal.http == 404:
        return "Check the region and the endpoint in clouds.yaml."
    return "Run this again later; if it stays so, ask the provider."


def _careful(auth: Any) -> None:
    """Renew short-lived tokens late enough that they serve for more than one request."""
    access = getattr(auth, "auth_ref", None)
    if access is None or getattr(auth, "sharekit_seen", None) is access:
        return
    auth.sharekit_seen = access
    if access.expires and access.issued:
        life = (access.expires - access.issued).total_seconds()
        auth.MIN_TOKEN_LIFE_SECONDS = min(TOKEN_MARGIN_SECONDS, life / 4)


def _means_yes(body: Mapping[str, Any]) -> bool:
    """Whether an answer is none of the errors that some gateways send with a status of 200.

    Jobs, which have a status, carry an ``error_code`` of their own.
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
    return name(code), brief(sub(r"<[^>]*>", " ", unescape(str(text)[:_READ])))


def _wait(state: tenacity.RetryCallState) -> float:
    outcome = state.outcome.exception() if state.outcome else None
    asked = outcome.retry_after if isinstance(outcome, CloudRefusedError) else None
    backoff = tenacity.wait_random_exponential(multiplier=0.2, max=10)(state)
    return max(asked or 0.0, backoff)


def _text(response: requests.Response) -> str:
    # Not response.text: to guess the encoding of a long text takes long.
    start = response.content[:_READ].decode("utf-8", "replace")
    return name(sub(r"<[^>]*>", " ", start)) or name(response.reason)


def _skew(date: str | None) -> str:
    """What to say of this machine's clock, if it goes wrong by more than signatures allow.

    >>> _skew("Thu, 01 Jan 1970 00:00:00 GMT")[:49]
    ', and the clock of this machine, which goes wrong'
    """
    at = _moment(date)
    off = 0.0 if at is None else time() - at
    if abs(off) < _SKEW_SECONDS:
        return ""
    return f", and the clock of this machine, which goes wrong by {abs(off) / 60:,.0f} minutes"


def _moment(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _retry_after(value: str | None) -> float | None:
    if not value:
        return None
    if value.isdecimal():
        return min(float(value), _LONGEST)
    at = _moment(value)
    return None if at is None else min(max(0.0, at - time()), _LONGEST)


def _fate(error: BaseException) -> tuple[str, bool]:
    """Why there is no answer, and whether the request can have left all the same."""
    if type(error) is OSError:  # what requests says of certificates that are no files
        return f"cannot be spoken to: {error}", False
    chain = list(_causes(error))
    for kind, why, left in _FATES:
        if any(isinstance(cause, kind) for cause in chain):
            return why, left
    return f"gave no usable answer ({type(error).__name__})", True


def _causes(error: BaseException | None) -> Iterator[object]:
    while error is not None:
        # urllib3's own error hides in `reason` of the first argument of requests' error.
        inner = error.args[0] if error.args else None
        yield from (error, inner, getattr(inner, "reason", None))
        error = error.__cause__ or error.__context__


_FATES: tuple[tuple[type | tuple[type, ...], str, bool], ...] = (
    (requests.exceptions.ProxyError, "cannot be reached: the proxy refuses (HTTPS_PROXY)", False),
    (NameResolutionError, "cannot be found: its name does not resolve", False),
    # The order matters: to urllib3 a refused connection is a kind of connection time-out.
    (NewConnectionError, "cannot be reached: it refuses connections", False),
    (ConnectTimeoutError, "does not answer: no connection in time", False),
    ((ksa.SSLError, requests.exceptions.SSLError), "failed the TLS check", False),
    (Endless, f"answers without end: more than {MOST_BYTES >> 20} MiB", True),
    ((ksa.ConnectTimeout, requests.Timeout, ReadTimeoutError), "did not answer in time", True),
    ((ksa.ConnectFailure, requests.ConnectionError), "cut the connection", True),
)


def _host(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))

"""Verification of AK/SK signatures (``SDK-HMAC-SHA256``).

Source: the signing algorithm published for the API gateway. A canonical request of method, path,
query, signed headers and the body's hash is hashed, joined with the date, and signed with the
secret. Written for verification only and apart from any signer, so that the two can disagree.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote

ALGORITHM = "SDK-HMAC-SHA256"
MAX_SKEW_SECONDS = 15 * 60
_HEADER = re.compile(
    r"SDK-HMAC-SHA256 +Access=(?P<access>[^,\s]+), *SignedHeaders=(?P<signed>[a-z0-9;-]+), *"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class SignedRequest:
    """A request as it came off the wire; header names in lower case, ``target`` undecoded."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def access_key(authorization: str) -> str:
    """Return the access key an ``Authorization`` header names, or "" if it is not of this kind."""
    match = _HEADER.fullmatch(authorization.strip())
    return match["access"] if match else ""


def signature_error(request: SignedRequest, secret: str, now: datetime) -> str:
    """Return what is wrong with a request's signature, or "" when it holds."""
    match = _HEADER.fullmatch(request.headers.get("authorization", "").strip())
    if not match:
        return "the Authorization header is not of the form SDK-HMAC-SHA256"
    names = match["signed"].split(";")
    if missing := {"host", "x-sdk-date"} - set(names):
        return f"the header {min(missing)} is not signed"
    if absent := [name for name in names if name not in request.headers]:
        return f"the signed header {absent[0]} is missing"
    date = request.headers["x-sdk-date"]
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "X-Sdk-Date is malformed"
    if abs((now - signed_at).total_seconds()) > MAX_SKEW_SECONDS:
        return "the clocks differ by more than 15 minutes"
    digest = hashlib.sha256(_canonical(request, names).encode()).hexdigest()
    text = f"{ALGORITHM}\n{date}\n{digest}"
    expected = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return "" if hmac.compare_digest(expected, match["signature"]) else "the signature differs"


def _canonical(request: SignedRequest, names: list[str]) -> str:
    path, _, query = request.target.partition("?")
    uri = "/".join(_escape(unquote(part)) for part in path.split("/"))
    pairs = sorted((_escape(k), _escape(v)) for k, v in parse_qsl(query, keep_blank_values=True))
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    # Bodies that are not JSON are left unsigned by the signers, and say so in this header.
    declared = request.headers["x-sdk-content-sha256"] if "x-sdk-content-sha256" in names else ""
    exempt = bool(request.body) and declared == "UNSIGNED-PAYLOAD"
    payload = declared if exempt else hashlib.sha256(request.body).hexdigest()
    return "\n".join(
        (
            request.method,
            uri if uri.endswith("/") else f"{uri}/",
            "&".join(f"{k}={v}" for k, v in pairs),
            headers,
            ";".join(names),
            payload,
        )
    )


def _escape(text: str) -> str:
    return quote(text, safe="~")

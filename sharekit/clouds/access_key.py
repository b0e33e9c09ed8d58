"""Sign-in with an access key (AK/SK): every request is signed, so there is no token.

The provider's own signer, from the optional extra ``aksk``, computes the signatures.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.auth import AuthBase

from sharekit.core.errors import SignInError, missing_extra

#: Part of an access key -> environment variables that may hold it, the first one first.
VARIABLES: Final = {
    "ak": ("HUAWEICLOUD_SDK_AK", "OS_AK"),
    "sk": ("HUAWEICLOUD_SDK_SK", "OS_SK"),
    "security_token": ("HUAWEICLOUD_SDK_SECURITY_TOKEN", "OS_SECURITY_TOKEN"),
}
#: ``auth_type`` in clouds.yaml that takes the access key from the environment.
AUTH_TYPE: Final = "aksk"


@dataclass(frozen=True)
class AccessKey:
    """An access key; one with a ``token`` is temporary."""

    ak: str = field(repr=False)
    sk: str = field(repr=False)
    token: str = field(default="", repr=False)


def uses_access_key(entry: Mapping[str, Any]) -> bool:
    """Return True if an entry of ``clouds.yaml``, with its ``auth``, signs in with an access key.

    >>> uses_access_key({"ak": "A", "sk": "S"}), uses_access_key({"auth": {"username": "ada"}})
    (True, False)
    """
    return bool(entry.get("ak")) or entry.get("auth_type") == AUTH_TYPE


def read_access_key(entry: Mapping[str, Any], name: str) -> AccessKey:
    """Read the key from an entry, and what the entry lacks from the environment.

    A security token of the environment never completes a key that is whole in the file: it
    belongs to another key.

    Raises
    ------
    SignInError
        If ``ak`` or ``sk`` is in neither.
    """
    parts = {part: str(entry.get(part) or "") for part in VARIABLES}
    complete = bool(parts["ak"] and parts["sk"])
    for part, variables in VARIABLES.items():
        if not parts[part] and not (complete and part == "security_token"):
            parts[part] = next(filter(None, map(os.environ.get, variables)), "")
    for part in ("ak", "sk"):
        if not parts[part]:
            raise SignInError(
                f"{name}: the access key has no {part}. Put it into secure.yaml, or into the "
                f"variable {VARIABLES[part][0]}."
            )
    return AccessKey(parts["ak"], parts["sk"], parts["security_token"])


class HmacAuth(AuthBase):
    """Signs every request of a session, for one project."""

    def __init__(self, key: AccessKey, project_id: str) -> None:
        try:
            from huaweicloudsdkcore.sdk_request import SdkRequest  # noqa: PLC0415 - optional
            from huaweicloudsdkcore.signer.signer import Signer  # noqa: PLC0415 - optional
        except ImportError:
            raise missing_extra("Access keys need the provider's signer", "aksk") from None
        self._signer, self._request, self._key = Signer(key), SdkRequest, key
        self._project_id = project_id

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add date, project, security token and signature to a prepared request."""
        parts = urlsplit(str(request.url))
        headers = {
            "Host": parts.netloc,
            "X-Sdk-Date": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
            "X-Project-Id": self._project_id,
        }
        if self._key.token:
            headers["X-Security-Token"] = self._key.token
        if "Content-Type" in request.headers:
            headers["Content-Type"] = str(request.headers["Content-Type"])
        signed = self._signer.sign(
            self._request(
                method=str(request.method),
                host=parts.netloc,
                resource_path=parts.path or "/",
                query_params=parse_qsl(parts.query, keep_blank_values=True),
                header_params=headers,
                body=request.body or "",
            )
        )
        request.headers.update(signed.header_params)
        return request

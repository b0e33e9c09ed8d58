"""Signing in with an access key (AK/SK): each request is signed, so there is no token.

The signature is made by the provider's own signer, from the optional extra ``aksk``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.auth import AuthBase

from sharekit.core.errors import SignInError, UsageError

#: What an access key consists of -> the variables of the environment that may hold it.
VARIABLES = {
    "ak": ("HUAWEICLOUD_SDK_AK", "OS_AK"),
    "sk": ("HUAWEICLOUD_SDK_SK", "OS_SK"),
    "security_token": ("HUAWEICLOUD_SDK_SECURITY_TOKEN", "OS_SECURITY_TOKEN"),
}
#: As ``auth_type`` in clouds.yaml: sign with an access key from the environment.
AUTH_TYPE = "aksk"


@dataclass(frozen=True)
class Key:
    """An access key; with a ``token`` it is a temporary one."""

    ak: str = field(repr=False)
    sk: str = field(repr=False)
    token: str = field(default="", repr=False)


def wanted(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of ``clouds.yaml`` signs in with an access key.

    >>> wanted({"ak": "A", "sk": "S"}), wanted({"auth": {"username": "ada"}})
    (True, False)
    """
    return bool(entry.get("ak")) or entry.get("auth_type") == AUTH_TYPE


def key_of(entry: Mapping[str, Any], name: str) -> Key:
    """Read the key from an entry, or what it lacks from the environment.

    A secret of the environment never completes an ``ak`` of the file with a foreign token.

    Raises
    ------
    SignInError
        If half of the key is nowhere.
    """
    found = {part: str(entry.get(part) or "") for part in VARIABLES}
    own = bool(found["ak"] and found["sk"])
    for part, names in VARIABLES.items():
        if not found[part] and not (own and part == "security_token"):
            found[part] = next((os.environ[n] for n in names if os.environ.get(n)), "")
    for part in ("ak", "sk"):
        if not found[part]:
            raise SignInError(
                f"{name}: the access key has no {part}. Put it into secure.yaml, or into the "
                f"variable {VARIABLES[part][0]}."
            )
    return Key(found["ak"], found["sk"], found["security_token"])


class Signature(AuthBase):
    """Signs each request that passes, for one project."""

    def __init__(self, key: Key, project_id: str) -> None:
        try:
            from huaweicloudsdkcore.sdk_request import SdkRequest  # noqa: PLC0415 - optional
            from huaweicloudsdkcore.signer.signer import Signer  # noqa: PLC0415 - optional
        except ImportError:
            raise UsageError(
                "Access keys need the provider's signer: pip install 'sharekit-ims[aksk]'."
            ) from None
        self._signer, self._request, self._key = Signer(key), SdkRequest, key
        self._project_id = project_id

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add date, project, token and signature to a request that is ready to be sent."""
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

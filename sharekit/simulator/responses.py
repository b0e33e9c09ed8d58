"""Responses, and the error bodies that each service is known for.

- IMS: ``{"error": {"message", "code"}}`` (IMS-errors).
- Glance: an HTML page, or with ``Accept: application/json`` an object whose message keeps remnants
  of that page (observed).
- Keystone: ``{"error": {"code", "message", "title"}}`` (observed).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Response:
    """A status, a body and the headers beyond the usual ones."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


class ResponseError(Exception):
    """Ends the handling of a request with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class ConnectionCutError(Exception):
    """Ends the connection without a response."""


def json_response(
    payload: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Return a JSON response."""
    return Response(status, json.dumps(payload, separators=(",", ":")).encode(), headers)


def error_response(
    payload: object, status: int, headers: tuple[tuple[str, str], ...] = ()
) -> ResponseError:
    """Return an error that ends the handling of a request with a JSON response."""
    return ResponseError(json_response(payload, status, headers))


def ims_error(status: int, code: str, message: str) -> ResponseError:
    """Return an IMS refusal, for instance 400 IMG.0027."""
    return error_response({"error": {"message": message, "code": code}}, status)


def keystone_error(status: int, message: str) -> ResponseError:
    """Return a Keystone refusal."""
    body = {"error": {"code": status, "message": message, "title": HTTPStatus(status).phrase}}
    return error_response(body, status)


def glance_error(status: int, message: str, accept: str) -> ResponseError:
    """Return a Glance refusal: JSON only for a client that asks for it."""
    title = HTTPStatus(status).phrase
    if "application/json" in accept:
        text = f"{message}<br /><br />\n\n\n"
        body = {"message": text, "code": f"{status} {title}", "title": title}
        return error_response(body, status)
    page = (
        f"<html>\n <head>\n  <title>{status} {title}</title>\n </head>\n <body>\n"
        f"  <h1>{status} {title}</h1>\n  {message}<br /><br />\n\n\n </body>\n</html>"
    )
    return ResponseError(Response(status, page.encode(), content_type="text/html; charset=UTF-8"))

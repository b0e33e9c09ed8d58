"""What goes back to the client: answers, and the error bodies each service is known for.

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
class Answer:
    """A status, a body and the headers beyond the usual ones."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


class AnswerError(Exception):
    """Ends the handling of a request with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class CutError(Exception):
    """Ends the connection without an answer."""


def ok(payload: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return a JSON answer."""
    return Answer(status, json.dumps(payload, separators=(",", ":")).encode(), headers)


def ims_error(status: int, code: str, message: str) -> AnswerError:
    """Return an IMS refusal, for instance 400 IMG.0027."""
    return AnswerError(ok({"error": {"message": message, "code": code}}, status))


def keystone_error(status: int, message: str) -> AnswerError:
    """Return a Keystone refusal."""
    body = {"error": {"code": status, "message": message, "title": HTTPStatus(status).phrase}}
    return AnswerError(ok(body, status))


def glance_error(status: int, message: str, accept: str) -> AnswerError:
    """Return a Glance refusal: JSON only for a client that asks for it."""
    title = HTTPStatus(status).phrase
    if "application/json" in accept:
        text = f"{message}<br /><br />\n\n\n"
        body = {"message": text, "code": f"{status} {title}", "title": title}
        return AnswerError(ok(body, status))
    page = (
        f"<html>\n <head>\n  <title>{status} {title}</title>\n </head>\n <body>\n"
        f"  <h1>{status} {title}</h1>\n  {message}<br /><br />\n\n\n </body>\n</html>"
    )
    return AnswerError(Answer(status, page.encode(), content_type="text/html; charset=UTF-8"))

"""Everything sharekit raises on purpose.

::

    SharekitError                    exit 2   the message is one sentence with a next step
    ├── InputError                   exit 2   a file, sheet, header or value that cannot be used
    │   └── SpreadsheetError         exit 2   a spreadsheet that cannot be read at all
    ├── UsageError                   exit 2   a call or an option that makes no sense
    ├── LedgerError                  exit 2   a ledger that is missing, foreign, locked or damaged
    ├── ApprovalError                exit 2   nothing is sent: no valid approval
    ├── PlanError                    exit 2   a plan that may not be made (too large, already sent)
    └── CloudError                   exit 4   the cloud cannot be reached, or refused
        ├── SignInError              exit 4   wrong or missing credentials
        └── Refused                  exit 4   an answer that says no (HTTP status, code, request id)

Bad *data* is never an exception: it is a finding, with the address of its cell.
"""

from __future__ import annotations


class SharekitError(Exception):
    """Base of everything sharekit raises on purpose; ``exit_code`` is what the shell returns."""

    exit_code = 2

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: in a notebook too, the message is all there is to say.
        return [f"{type(self).__name__}: {self}"]


class InputError(SharekitError):
    """An input (file, sheet, header, setting) that cannot be used as it is."""


class SpreadsheetError(InputError):
    """A spreadsheet that cannot be read: truncated, encrypted, empty, or not one at all."""


class UsageError(SharekitError):
    """A combination of arguments that makes no sense."""


class LedgerError(SharekitError):
    """A ledger that is missing, is not one, is in use by another process, or is damaged."""


class ApprovalError(SharekitError):
    """The plan has no valid approval, so nothing is sent."""


class PlanError(SharekitError):
    """A plan that may not be made or changed: too large, empty, or already being sent."""


class CloudError(SharekitError):
    """The cloud cannot be found, reached or understood."""

    exit_code = 4


class SignInError(CloudError):
    """Credentials are missing, wrong, or give no access to the project."""


class Refused(CloudError):
    """The cloud answered and said no.

    ``http`` is the HTTP status, ``code`` the API's error code (or ``HTTP404``…),
    ``request_id`` what the provider's support asks for, ``retry_after`` seconds or ``None``.
    """

    def __init__(
        self,
        message: str,
        *,
        http: int,
        code: str,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.http = http
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after


class NoAnswer(CloudError):
    """A request left and no answer came back; ``sent`` is False when it surely never left."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent

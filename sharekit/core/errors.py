"""Every exception that sharekit raises, with the exit code it gives the command line.

::

    SharekitError                       2   the message is one sentence and the next step
    ├── InputError                      2   a file, header, setting or value cannot be used
    │   └── SpreadsheetError            2   a spreadsheet cannot be read at all
    ├── UsageError                      2   arguments contradict each other or make no sense
    ├── LedgerError                     2   a ledger is missing, foreign, locked or damaged
    │   ├── LedgerHeldError             2   another machine has not closed it
    │   └── LedgerUnreadableError       2   it cannot be read here and now
    │       └── UnfinishedChangeError   2   a program ended within a change of it
    ├── ApprovalError                   2   the plan has no valid approval; nothing is sent
    ├── PlanError                       2   the plan may not be made or changed
    ├── StoppedError                    4   the caller stopped while a cloud was waited for
    └── CloudError                      4   the cloud cannot be found, reached or understood
        ├── SignInError                 4   credentials are missing, wrong or without access
        │   └── TokenRefusedError       4   signing in works, and the token is refused all the same
        ├── CloudRefusedError           4   the cloud responded with an error
        ├── NotShownError               4   one thing cannot be read, its service shows others
        ├── IncompleteListError         4   a list ended without showing that it is whole
        ├── RedirectedError             4   the cloud redirects, which is never followed
        └── NoResponseError             4   a request was made and no usable response came
            └── UnfitResponseError      4   the response is of another type, or about something else

Bad *data* never raises: it becomes a finding that names its cell.
"""

from __future__ import annotations

import sys
from pathlib import Path


class SharekitError(Exception):
    """Base of all exceptions.

    Where the next step is not the same call for a script and for the shell, a message has both:
    ``str(error)`` ends with the call, and ``error.in_shell`` with the command.

    Attributes
    ----------
    exit_code : int
        The exit code of the command line.
    in_shell : str
        The message as the command line prints it.
    what : str
        The message without the next step.

    Examples
    --------
    >>> from sharekit.core.errors import UsageError
    >>> error = UsageError("No cloud.", in_python="Call connect(N).", in_shell="Add --cloud N.")
    >>> str(error), error.in_shell
    ('No cloud. Call connect(N).', 'No cloud. Add --cloud N.')
    """

    exit_code = 2

    def __init__(self, message: str = "", *, in_python: str = "", in_shell: str = "") -> None:
        super().__init__(f"{message} {in_python}".strip())
        self.in_shell, self.what = f"{message} {in_shell}".strip(), message

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: the message says everything a user needs, so no traceback is shown.
        return [f"{type(self).__name__}: {self}"]


class InputError(SharekitError):
    """An input (file, sheet, header, setting) cannot be used as it is."""


class SpreadsheetError(InputError):
    """A spreadsheet cannot be read: it is truncated, encrypted, empty, or not a spreadsheet."""


class UsageError(SharekitError):
    """A combination of arguments makes no sense."""


def missing_extra(what: str, extra: str) -> UsageError:
    """Return the error for what only an extra installs, with the command that installs it.

    >>> str(missing_extra("Access keys need the provider's signer", "aksk")).split(": ")[0]
    "Access keys need the provider's signer"
    """
    tools = {"uv-receipt.toml": "uv tool install", "pipx_metadata.json": "pipx install --force"}
    way = (way for name, way in tools.items() if Path(sys.prefix, name).exists())
    return UsageError(f"{what}: {next(way, 'pip install')} 'sharekit-ims[{extra}]'.")


def not_made_by(given: object, what: str, how: str) -> UsageError:
    """Return the error for a step that is given something else than what the step before made.

    >>> print(not_made_by("shares.csv", "inventory", "sharekit.read_inventory(…) makes one"))
    A value of the type str is no inventory; sharekit.read_inventory(…) makes one.
    """
    return UsageError(f"A value of the type {type(given).__name__} is no {what}; {how}.")


class LedgerError(SharekitError):
    """A ledger is missing, is another kind of file, is locked by a process, or is damaged."""


class LedgerUnreadableError(LedgerError):
    """A ledger cannot be read here and now, which says nothing about what it holds."""


class UnfinishedChangeError(LedgerUnreadableError):
    """A program ended within a change of a ledger; what writes to it next takes that back."""


class LedgerHeldError(LedgerError):
    """A process on another machine has not closed a ledger."""


class ApprovalError(SharekitError):
    """The plan has no valid approval, so nothing is sent."""


class PlanError(SharekitError):
    """A plan may not be made or changed: it is too large, empty, or already being sent."""


class CloudError(SharekitError):
    """The cloud cannot be found, reached or understood."""

    exit_code = 4


class SignInError(CloudError):
    """Credentials are missing, wrong, or give no access to the project."""


class TokenRefusedError(SignInError):
    """Signing in works, and a request is refused for its token or its signature all the same."""


class CloudRefusedError(CloudError):
    """The cloud responded with an error.

    Attributes
    ----------
    http : int
        HTTP status.
    code : str
        Error code of the API, or ``HTTP404`` and so on where the response has none.
    request_id : str
        The ID that the provider's support asks for.
    retry_after : float or None
        Seconds the cloud asks to wait, None where it does not ask.
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


class NotShownError(CloudError):
    """One thing cannot be read, however often it is asked for, while its service shows others."""


class IncompleteListError(CloudError):
    """A list ended without showing that it is whole: what it lacks may be there all the same."""


class RedirectedError(CloudError):
    """The cloud redirects elsewhere, which is never followed with a token."""


class NoResponseError(CloudError):
    """No usable response came; ``sent`` is False if the request certainly never left."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class UnfitResponseError(NoResponseError):
    """A response is of another type than asked for, or about something else: it says nothing."""


class StoppedError(SharekitError):
    """The caller was asked to stop while a cloud was waited for; the request did not leave.

    It says nothing of the cloud, so it is none of a cloud's errors.
    """

    exit_code = 4

    def __init__(self) -> None:
        super().__init__("stopped while waiting for the cloud")

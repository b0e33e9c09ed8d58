"""Accept or reject shared machine images by the hundred, and prove what happened.

>>> import sharekit
>>> inventory = sharekit.read_inventory("shares.xlsx")              # doctest: +SKIP
>>> clouds = sharekit.connect("otc")                                # doctest: +SKIP
>>> findings = sharekit.check(inventory, clouds)                    # doctest: +SKIP
>>> plan = sharekit.plan(findings, "run.ledger")                    # doctest: +SKIP
>>> print(plan.preview(1))                                          # doctest: +SKIP
>>> sharekit.approve(plan, reviewer="Ada", fingerprint="1f3c5a7b")  # doctest: +SKIP
>>> run = sharekit.submit(plan, clouds)                             # doctest: +SKIP
>>> sharekit.report(run, "audit.xlsx", "audit.html")                # doctest: +SKIP
>>> sharekit.verify("run.ledger", "audit.xlsx").intact              # doctest: +SKIP
True
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.monitoring import progress as _progress
from .core.provenance import __version__ as __version__

if TYPE_CHECKING:
    from sharekit.plans.policies.policy import policy
    from sharekit.reports.verification.verify import Verdict, verify

    from .audits.audit import audit
    from .audits.results import Audit as Audit
    from .checks.check import check
    from .checks.findings import Findings
    from .clouds.registry import Clouds
    from .clouds.sign_in import connect
    from .core.errors import SharekitError
    from .fleets.fleet import Fleet as Fleet
    from .interfaces.app import app as app
    from .interfaces.review import review
    from .plans.approval import Approval as Approval
    from .plans.approval import approve
    from .plans.plan import Plan, plan
    from .reports.report import report
    from .reports.search import find
    from .runs.follow_up import retry, undo
    from .runs.settings import Settings
    from .runs.status import Run, status
    from .runs.submit import submit
    from .spreadsheets.input import Limits as Limits
    from .spreadsheets.inventory import Inventory
    from .spreadsheets.reading import read_inventory
    from .spreadsheets.writing.template import write_template as template

# A library shows no log records of its own accord; configure in core.monitoring.logs does.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def _make_display() -> _progress.Display | None:
    """Return what shows the progress of a call that takes long; loaded only then."""
    from .interfaces.display import make_display  # noqa: PLC0415

    return make_display()


_progress.supply(_make_display)

__all__ = [
    "Clouds",
    "Findings",
    "Inventory",
    "Plan",
    "Run",
    "Settings",
    "SharekitError",
    "Verdict",
    "approve",
    "audit",
    "check",
    "connect",
    "find",
    "plan",
    "policy",
    "read_inventory",
    "report",
    "retry",
    "review",
    "status",
    "submit",
    "template",
    "undo",
    "verify",
]
#: Public name -> the module it lives in. Loaded when first used, so that `import sharekit`, the
#: help of the shell and the simulator do not wait for pandas and the cloud libraries.
_HOMES = {
    "Approval": "plans.approval",
    "Audit": "audits.results",
    "Clouds": "clouds.registry",
    "Findings": "checks.findings",
    "Fleet": "fleets.fleet",
    "Inventory": "spreadsheets.inventory",
    "Limits": "spreadsheets.input",
    "Plan": "plans.plan",
    "Run": "runs.status",
    "Settings": "runs.settings",
    "SharekitError": "core.errors",
    "Verdict": "reports.verification.verify",
    "app": "interfaces.app",
    "approve": "plans.approval",
    "audit": "audits.audit",
    "check": "checks.check",
    "connect": "clouds.sign_in",
    "find": "reports.search",
    "plan": "plans.plan",
    "policy": "plans.policies.policy",
    "read_inventory": "spreadsheets.reading",
    "report": "reports.report",
    "retry": "runs.follow_up",
    "review": "interfaces.review",
    "status": "runs.status",
    "submit": "runs.submit",
    "template": "spreadsheets.writing.template",
    "undo": "runs.follow_up",
    "verify": "reports.verification.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    source = import_module(f".{_HOMES[name]}", __name__)
    value = getattr(source, "write_template" if name == "template" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

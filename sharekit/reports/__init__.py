"""A run's record as files for people and programs: ``.xlsx``, ``.html``, ``.csv``, ``.json``.

A report is a pure function of a :class:`~sharekit.reports.run_record.Record`: no clock, no chance,
no environment. So it can be made again years later and compared with the one an auditor holds.
"""

from __future__ import annotations

from .compare import differences
from .files import write, write_findings

__all__ = ["differences", "write", "write_findings"]

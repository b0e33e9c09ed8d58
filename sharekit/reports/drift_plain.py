"""An audit as csv and json, and its listing as an inventory to begin with."""

from __future__ import annotations

import json
from pathlib import Path

from sharekit.audits.results import Audit

from . import drift_words, plain


def write_csv(audit: Audit, path: Path) -> None:
    """Write every row and share, in the order of ``Audit.rows``."""
    plain.csv_table(audit.rows, path)


def write_inventory(audit: Audit, path: Path) -> None:
    """Write everything that is shared as an inventory, to be decided on and planned."""
    plain.csv_table(drift_words.inventory(audit), path)


def write_json(audit: Audit, path: Path) -> None:
    """Write one JSON object: :attr:`Audit.summary`, then ``changed``, ``outgoing`` and ``lines``.

    The last three are arrays of objects, one a line: the changes, what is shared out, every row.
    """
    frames = {
        "changed": audit.changes,
        "outgoing": audit.survey.outgoing,
        "lines": audit.rows,
    }
    head = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in audit.summary.items()]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("{\n" + ",\n".join(head))
        for name, frame in frames.items():
            file.write(f',\n"{name}": ')
            plain.json_array(frame, file)
        file.write("\n}\n")

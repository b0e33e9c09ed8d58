"""Whether the inventory is still what a plan was made of; nobody sees that in the plan itself."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path

from sharekit.ledger.ledger import Ledger
from sharekit.plans.storage import read_sources
from sharekit.runs.status import finished, followed_run
from sharekit.spreadsheets.inventory import Inventory

#: What to do about it, in Python and in the shell.
IN_PYTHON = "sharekit.plan(findings, NEW, follows={run!r}) plans anew and keeps what was decided."
IN_SHELL = "`sharekit plan SHARES NEW --follows {run}` plans anew and keeps what was decided."


def changed_inputs(path: Path, inventory: Inventory | None = None) -> list[str]:
    """Return in a sentence for each input how it differs from what a ledger's plan was made of.

    A finished run, and one that follows on another, have nothing more to take from their inventory.

    Parameters
    ----------
    path : Path
        The ledger of the run.
    inventory : Inventory, optional
        The inventory as it is now, where a DataFrame may be in it: of that a ledger knows the hash,
        and no place where it could be looked at again.
    """
    with Ledger.open(path, verify_chain=False) as ledger:
        if finished(ledger) or followed_run(ledger) is not None:
            return []
        sources = read_sources(ledger)
    hashes = {source.file: source.sha256 for source in sources}
    if inventory is not None:
        given = {source.file: source.sha256 for source in inventory.sources}
        return [_NEW.format(file) for file, now in given.items() if now not in hashes.values()]
    files = {s.file: s.sha256 for s in sources if not s.index_dtype and Path(s.file).suffix}
    return [*_changed_files(files, path.parent)]


_NEW = "{} is not what this plan was made of, so what is new in it is not in the plan."
_GONE = "{} is not where it was, so nobody can see whether it is still what this plan was made of."


def _changed_files(files: dict[str, str], folder: Path) -> Iterator[str]:
    for name, sha256 in files.items():
        there = [path for path in (Path(name), folder / name) if path.is_file()]
        try:
            with there[0].open("rb") as file:
                if file_digest(file, "sha256").hexdigest() != sha256:
                    yield _NEW.format(name)
        except (IndexError, OSError):
            yield _GONE.format(name)

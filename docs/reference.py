"""Writes the pages that the code itself knows best: ``python -m docs.reference``."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from pathlib import Path

import click

from docs.tree import tree
from sharekit.core import audit_results, error_codes
from sharekit.core.api_limits import VAULT_RESOURCES
from sharekit.core.error_codes import ADVICE, REMEDIES
from sharekit.core.outcomes import OUTCOMES
from sharekit.core.rules import markdown
from sharekit.interfaces.cli.main import COMMANDS, cli, load_command
from sharekit.ledger.events import EVENTS
from sharekit.runs.request_log import FINAL_STATES, TRANSITIONS
from sharekit.simulator import seed as seeds
from sharekit.simulator.faults import Faults

HERE = Path(__file__).parent


_EXITS = """## Exit codes

| code | meaning | what to do |
|---|---|---|
| 0 | yes | – |
| 1 | the answer is no: errors, rows blocked or failed, drift, tampered | look at the report |
| 2 | a call, an input or a ledger that cannot be used | correct what the sentence names |
| 3 | unfinished: interrupted, stopped, or the cloud was lost on the way | the same command again |
| 4 | the cloud refused the caller, or was of no use at all | mend what is named, then the same |

What `submit` makes of a cloud that fails, by what this call has heard of it before:

| what happens | nothing of use yet | later |
|---|---|---|
| sign-in or token refused | 4 | 4 |
| name not found, no connection, TLS or proxy failure, silence, a cut | 4 | 3 |
| HTML, truncated JSON, an answer that does not fit, a redirect, endless HTTP 5xx | 4 | 3 |
| no right (HTTP 403, `IMG.0026`, also in a body under HTTP 200) | 4 | 1: those rows failed |
| endless flow control | 3 | 3 |

Either way each request that left is in the ledger, the outcomes so far are shown, and the same
command goes on from there: a request whose answer was lost is read back before anything is sent
anew.
"""


def pages() -> dict[str, str]:
    """Name and text of each generated page."""
    return {
        "architecture.md": _architecture(),
        "cli.md": _commands(),
        "rules.md": _rules(),
        "states.md": _states(),
    }


def _architecture() -> str:
    """Return the page with the tree as it is now; the rest is written by hand."""
    page = (HERE / "architecture.md").read_text(encoding="utf-8")
    head, start, rest = page.partition("<!-- tree: written by `make docs` -->\n")
    _, end, tail = rest.partition("<!-- end of tree -->\n")
    return f"{head}{start}```text\nsharekit/\n{tree()}\n```\n{end}{tail}"


def _commands() -> str:
    parts = ["# The command line\n\nGenerated from the code by `make docs`.\n"]
    top = click.Context(cli, info_name="sharekit", **cli.context_settings, terminal_width=100)
    parts.append(f"```text\n{cli.get_help(top)}\n```\n")
    for name in COMMANDS:
        command = load_command(name)
        context = click.Context(
            command, info_name=name, parent=top, terminal_width=100, **cli.context_settings
        )
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```\n")
    parts.append(_EXITS)
    parts.append(_audit_json())
    parts.append(_seed())
    parts.append(f"## What `--faults` can name\n\n```text\n{_faults()}\n```\n")
    return "\n".join(parts)


def _audit_json() -> str:
    results = {name: result.meaning for name, result in audit_results.RESULTS.items()}
    return (
        "## What `audit --json` prints\n\n"
        "One object. The json file of an audit has the same keys, but for `files`.\n\n"
        "| key | what it is |\n|---|---|\n"
        "| `rows` | rows of the inventory; 0 without one |\n"
        "| `shares` | shares that the projects show |\n"
        f"| `results` | rows and shares by result: {_names(audit_results.RESULTS)} |\n"
        "| `drift` | how many of them are "
        f"{_names(n for n in audit_results.RESULTS if n in audit_results.DRIFT)};"
        " 0 without an inventory |\n"
        "| `good` | whether all agrees and everything could be read; then the exit code is 0 |\n"
        "| `unread` | what could not be read: `cloud, project_id, what, code, reason` |\n"
        "| `unasked` | projects of the inventory to which no cloud that was named gives access |\n"
        "| `since` | name of the ledger it was compared with, or empty |\n"
        f"| `changes` | shares by change: {_names(audit_results.CHANGES)} |\n"
        "| `taken_at` | when the clouds were read: UTC, ISO 8601 |\n"
        "| `fingerprint` | SHA-256 over what is said of every row and share |\n"
        "| `files` | what was written |\n\n"
        "The file has further `changed`, `outgoing` and `lines`: every change, everything that is"
        " shared out, every row and share. What the words mean:\n\n"
        "| word | meaning |\n|---|---|\n"
        + "\n".join(
            f"| `{name}` | {text} |"
            for words in (results, audit_results.ABSENCES, audit_results.CHANGES)
            for name, text in words.items()
        )
        + "\n"
    )


def _seed() -> str:
    """Tell how a cloud is made up, with an example whose every vault has something wrong."""
    images = [f"0000000{n}-0000-4000-8000-00000000000e" for n in range(4)]
    vaults = [f"{n}0000000-0000-4000-8000-00000000000a" for n in range(4)]
    wrong: list[dict[str, object]] = [
        {"size": 100},
        {"size": 100, "used": 71_680},
        {"resources": VAULT_RESOURCES},
        {"object_type": "disk"},
    ]
    mine, owner = "a" * 32, "b" * 32
    seed = {
        "projects": [{"id": mine, "name": "mine"}, {"id": owner, "name": "golden"}],
        "users": [{"id": "u1", "name": "ada", "password": "simulated"}],
        "images": [{"id": i, "owner": owner, "whole_image": True, "min_disk": 40} for i in images],
        "shares": [{"image_id": i, "project_id": mine} for i in images],
        "vaults": [
            {"id": i, "project_id": mine} | facts for i, facts in zip(vaults, wrong, strict=True)
        ],
    }
    # A record a line.
    tables = ",\n".join(
        f'  "{name}": [\n' + ",\n".join(f"    {json.dumps(r)}" for r in records) + "\n  ]"
        for name, records in seed.items()
    )
    rows = "\n".join(f"{i},{mine},accepted,{v}" for i, v in zip(images, vaults, strict=True))
    fields = "\n".join(
        f"| `{name}` | {_names(kind.__dataclass_fields__)} |" for name, kind in seeds.TABLES.items()
    )
    return (
        "## A cloud of your own making: `simulator --shares seed.json`\n\n"
        "A workbook makes a cloud in which its shares are pending, and every vault it names has\n"
        "room. To rehearse vaults that will not do, write the cloud as json. This `seed.json` has\n"
        "four full-ECS images of 40 GB and a good vault, one that is too small (`size` in GB,\n"
        "`used` in MB), one that is full, and one of the wrong type:\n\n"
        f"```json\n{{\n{tables}\n}}\n```\n\n"
        f"With these `shares.csv`:\n\n```text\nimage_id,project_id,status,vault_id\n{rows}\n```\n\n"
        "`sharekit simulator --shares seed.json --clouds-yaml clouds.yaml` starts it, and\n"
        "`sharekit check shares.csv --clouds-yaml clouds.yaml` in another shell finds\n"
        "`vault-too-small`, `vault-resource-limit` and `vault-wrong-type` in the last three rows.\n"
        "What every record may say:\n\n"
        f"| list | fields |\n|---|---|\n{fields}\n"
    )


def _names(words: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in words)


def _faults() -> str:
    told = inspect.getdoc(Faults) or ""
    return told.partition("Attributes\n----------\n")[2].partition("\nExamples\n")[0].strip()


def _rules() -> str:
    outcomes = "\n".join(f"| `{name}` | {outcome.meaning} |" for name, outcome in OUTCOMES.items())
    errors = "\n".join(
        f"| `{code}` | {error_codes.MEANINGS[code]} | {action.value} | {ADVICE.get(code, '–')} |"
        for code, action in sorted(REMEDIES.items())
    )
    return (
        "# Rules, outcomes, error codes\n\nGenerated from the code by `make docs`.\n\n"
        "## What every row is checked for\n\n"
        "An error blocks its row; with `--strict` a warning is an error. A repair is made only\n"
        "where no other reading is possible, and is recorded. Rule names are stable.\n\n"
        f"{markdown()}\n\n## What can become of a row\n\n| outcome | meaning |\n|---|---|\n"
        f"{outcomes}\n\n## What is done about the cloud's error codes\n\n"
        "| code | meaning | what sharekit does | what you can do |\n|---|---|---|---|\n"
        f"{errors}\n\n"
        "Before anything is sent, a full-ECS image is compared with its vault: kind, state, how\n"
        f"many servers it protects ({VAULT_RESOURCES} at most), and room: size less what is\n"
        "used, against at least the system disk (min_disk); no listing tells the data disks.\n"
        "Rows take the room in their order. A vault found too small is too small; one that is\n"
        "not may be all the same, and the cloud then answers IMG.0182.\n\n"
        "An HTTP status without such a code: 401 signs in again; 403 stops the project;\n"
        "408 and 5xx are tried again with backoff; 429 is waited for like flow control;\n"
        "404 on the batch call means that the cloud lacks it, so images go one by one;\n"
        "any other 4xx is split until the bad image stands alone.\n"
    )


def _states() -> str:
    moves = "\n".join(
        f"| `{state}` | `{event}` | `{then}` | {EVENTS[event].meaning} |"
        for (state, event), then in TRANSITIONS.items()
    )
    ends = ", ".join(f"`{name}`" for name in sorted(FINAL_STATES))
    return (
        "# The states of a chunk\n\nGenerated from the code's own table by `make docs`.\n\n"
        "A request carries a chunk, or a part of one. It begins as `planned`. The table is all\n"
        "that may happen to it; anything else is refused before it is written, and is damage\n"
        "when it is read. A test walks it at random and checks that each row keeps exactly one\n"
        "outcome.\n\n"
        f"| state | event | next state | meaning |\n|---|---|---|---|\n{moves}\n\n"
        f"In {ends} nothing more happens by itself. A `split` hands each image on exactly once;\n"
        "what reading back showed changed stays with the old request as `unknown`, to be settled.\n"
    )


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")

"""Write the pages that are generated from the code: ``python -m docs.reference``."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pandas as pd

from docs.tree import tree
from sharekit.audits import meanings
from sharekit.core import cloud_api
from sharekit.core.brakes import BRAKES
from sharekit.core.cloud_api import ADVICE, REMEDIES, VAULT_RESOURCES
from sharekit.core.columns import STR
from sharekit.core.frame_schemas import OUR_COLUMNS
from sharekit.core.outcomes import OUTCOMES
from sharekit.core.rules import markdown
from sharekit.interfaces.cli.main import COMMANDS, cli, load_command
from sharekit.ledger.events import EVENTS
from sharekit.reports.run_document import COLUMNS
from sharekit.runs.outcomes import verdict
from sharekit.runs.requests.log import FINAL_STATES, TRANSITIONS
from sharekit.simulator import seed as seeds
from sharekit.simulator.faults import Faults

HERE = Path(__file__).parent


_EXITS = """## Exit codes

| code | meaning | what to do |
|---|---|---|
| 0 | yes | – |
| 1 | no: row errors, rows blocked or failed, drift, a changed report or ledger | read the report |
| 2 | the call, an input or a ledger cannot be used | correct what the message names |
| 3 | unfinished: interrupted, stopped, or the cloud went away during the run | repeat the command |
| 4 | the cloud refused the caller, or gave no useful response | correct it, repeat the command |
| 70 | an error of sharekit itself | send the file that the message names to the project |

The file of an error of sharekit's own is written into the folder for temporary files, for its owner
alone. It holds the versions of sharekit, Python, the system and the libraries, the command with its
options but without any value, and the traceback without the values of variables. Passwords, keys
and tokens are masked, also those in variables of the environment, and so is the path of the home
folder. The error's own text is in it: read the file before you send it.

One project's trouble is its own, and so is that of one service (a region, or another cloud): the
projects that cannot be signed in to, read or sent to are left out, and the others finish. The rows
of these projects stay `pending` with the reason; `check` and `plan` block them (`not-looked-up`),
`audit` reports them as `unread`. Where no project can be read, these commands exit with 4.

The exit code of `submit` when the cloud fails depends on whether the service that failed has given
this call a useful response before:

| failure | no useful response before | useful responses before |
|---|---|---|
| sign-in or token refused: its project is left out, the others finish | 4 | 4 |
| name not found, no connection, TLS or proxy error, timeout, connection closed | 4 | 3 |
| HTML, truncated JSON, a response of another type, a redirect, HTTP 5xx on every attempt | 4 | 3 |
| no permission (HTTP 403, `IMG.0026`, also in a body under HTTP 200) | 4 | 1: those rows failed |
| no permission to read a project before sending: it is left out, the others finish | 4 | 4 |
| flow control that does not end, or asks for a longer wait than is allowed | 3 | 3 |

In every case the ledger holds each request that was sent, `submit` prints the outcomes so far, and
the same command continues the run: it reads the cloud back for requests without a response before
it sends anything again.
"""


_COMPLETION = """## Completion by the Tab key

| shell | add this to | |
|---|---|---|
| bash 4.4 or newer | `~/.bashrc` | `eval "$(_SHAREKIT_COMPLETE=bash_source sharekit)"` |
| zsh | `~/.zshrc` | `eval "$(_SHAREKIT_COMPLETE=zsh_source sharekit)"` |
| fish | `~/.config/fish/config.fish` | `_SHAREKIT_COMPLETE=fish_source sharekit \\| source` |
| PowerShell | the file `$PROFILE` | the lines below |

```powershell
Register-ArgumentCompleter -Native -CommandName sharekit -ScriptBlock {
    param($word, $line, $position)
    $env:COMP_WORDS = "$line"
    $env:COMP_CWORD = $line.CommandElements.Count - [int]($word -ne '')
    $env:_SHAREKIT_COMPLETE = 'bash_complete'
    sharekit | ForEach-Object {
        $type, $value = $_ -split ',', 2
        if ($type -eq 'plain') { $value }
    }
    Remove-Item Env:COMP_WORDS, Env:COMP_CWORD, Env:_SHAREKIT_COMPLETE
}
```
"""


_FLEET_JSON = """## What the commands of a fleet print with `--json`

| command | keys |
|---|---|
| `fleet plan`, `fleet retry` | `by`, the keys of `plan` over all parts (`fingerprint` is the \
fleet's), and `parts`: for each part `part` and the keys of `plan` |
| `fleet approve` | `reviewer`, `fingerprint`, `parts`, `images`, and `approved`, the number of \
ledgers that the approval was written into |
| `fleet status` | the keys of `status` over all parts, and `parts`: for each `part`, `ledger`, \
`rows`, `open` (rows that are not settled), `what` (their outcomes), `approved_by`, `finished` |
| `fleet report` | `files` |
| `fleet verify` | the keys of `verify`; `head` is that of the fleet's ledger, `events` are those \
of all |

Their exit codes are those of the same command for a run; `fleet status` has the highest of its
parts. A report of a fleet has one more column, `part`, and calls chunk 7 of a part `PART:7`.
"""


def pages() -> dict[str, str]:
    """Name and text of each generated page."""
    return {
        "explanation/architecture.md": _architecture(),
        "reference/cli.md": _commands(),
        "reference/sharekit.1": _manual(),
        "reference/events.md": _events(),
        "reference/rules.md": _rules(),
        "reference/states.md": _states(),
    }


def _architecture() -> str:
    """Return the page with the tree as it is now; the rest is written by hand."""
    page = (HERE / "explanation" / "architecture.md").read_text(encoding="utf-8")
    head, start, rest = page.partition("<!-- tree: written by `make docs` -->\n")
    _, end, tail = rest.partition("<!-- end of tree -->\n")
    return f"{head}{start}```text\nsharekit/\n{tree()}\n```\n{end}{tail}"


def _commands() -> str:
    parts = ["# The command line\n\n`make docs` generates this page from the code.\n"]
    for name, text in _helps(100).items():
        title = f"## {name}\n\n" if name else ""
        parts.append(f"{title}```text\n{text}\n```\n")
    parts += [_EXITS, _variables(), _COMPLETION]
    parts.append(_report_columns())
    parts.append(_audit_json())
    parts.append(_FLEET_JSON)
    parts.append(_seed())
    parts.append(f"## Faults for `--faults`\n\n```text\n{_faults()}\n```\n")
    return "\n".join(parts)


def _helps(width: int) -> dict[str, str]:
    """Return the help of each command by its name; that of the program by ``""``."""
    options = {"terminal_width": width, **cli.context_settings}
    top = click.Context(cli, info_name="sharekit", **options)
    helps = {"": cli.get_help(top)}
    for name, command in _all_commands():
        context = click.Context(command, info_name=name, parent=top, **options)
        helps[name] = command.get_help(context)
    return helps


def _all_commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command by its name, those of a group after it."""
    for name in COMMANDS:
        command = load_command(name)
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())


def _saved_options() -> dict[str, list[str]]:
    """Return each variable that stands for an option, with the commands that have the option."""
    found: dict[str, list[str]] = {}
    for name, command in _all_commands():
        for option in command.params:
            if isinstance(option.envvar, str):
                found.setdefault(option.envvar, []).append(name)
    return dict(sorted(found.items()))


def _variables() -> str:
    lines = (
        f"| `{variable}` | `--{variable.removeprefix('SHAREKIT_').lower().replace('_', '-')}` "
        f"| {_names(commands)} |\n"
        for variable, commands in _saved_options().items()
    )
    return (
        "## Variables for options that you repeat\n\n"
        "A variable of the environment stands for its option where the option is not given. "
        "Several\n"
        "names in `SHAREKIT_CLOUD` have a space between them; a plan's own clouds go before it. "
        "What\n"
        "decides on rows, or allows what is refused otherwise, has no variable.\n\n"
        f"| variable | option | of the commands |\n|---|---|---|\n{''.join(lines)}\n"
        "With `NO_COLOR` nothing is printed in colour, bold or dim. `PYTHONIOENCODING` overrules "
        "the\n"
        "encoding of the output: UTF-8 in files and pipes, the terminal's own in a terminal, where "
        "a\n"
        "character that it lacks is printed as `?`. What `--json` prints is ASCII.\n"
    )


def _manual() -> str:
    """Return the page that `man sharekit` shows."""
    top, *helps = _helps(78).items()
    parts = ['.TH SHAREKIT 1 "" "sharekit" "User Commands"', ".SH NAME",
             "sharekit \\- accept and reject shared cloud images in bulk, and prove what happened",
             ".SH SYNOPSIS", _roff(top[1]), ".SH COMMANDS"]  # fmt: skip
    for name, text in helps:
        parts += [f".SS {name}", _roff(text)]
    exits = re.findall(r"^\| (\d+) \| (.+?) \|", _EXITS, re.MULTILINE)
    parts += [".SH EXIT STATUS", _roff("\n".join(f"{code:>2}  {what}" for code, what in exits))]
    return "\n".join([*parts, ".SH ENVIRONMENT", _roff("\n".join(_saved_options())), ""])


def _roff(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    plain = re.sub(r"(?m)^(?=[.'])", r"\\&", escaped)  # no line of the text is a command
    return f".nf\n{plain}\n.fi"


def _report_columns() -> str:
    columns = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items())
    return (
        "## Columns of a run's csv, json and sheet Rows\n\n"
        f"| column | what it holds |\n|---|---|\n{columns}\n\n"
        "## Names of columns that are ours\n\n"
        "[In frames, policies and splits](../how-to/columns.md#what-your-own-columns-are-called) a "
        "column of the input\nwith one of these names is `input.` and the name:\n\n"
        + "\n".join(textwrap.wrap(", ".join(f"`{name}`" for name in sorted(OUR_COLUMNS)), 120))
        + "\n"
    )


def _audit_json() -> str:
    results = {name: result.meaning for name, result in meanings.RESULTS.items()}
    return (
        "## What `audit --json` prints\n\n"
        "The command prints one object. The json file of an audit has the same keys except"
        " `files`.\n\n"
        "| key | value |\n|---|---|\n"
        "| `rows` | number of rows of the inventory; 0 without one |\n"
        "| `shares` | number of shares that the projects show |\n"
        f"| `results` | number of rows and shares by result: {_names(meanings.RESULTS)} |\n"
        "| `drift` | number of these that are "
        f"{_names(n for n in meanings.RESULTS if n in meanings.DRIFT)};"
        " 0 without an inventory |\n"
        "| `good` | true if inventory and cloud agree and all projects could be read (exit"
        " code 0) |\n"
        "| `unread` | read errors: `cloud, project_id, what, code, reason` |\n"
        "| `unasked` | projects of the inventory to which none of the named clouds gives access |\n"
        "| `since` | name of the ledger that the audit was compared with, or empty |\n"
        f"| `changes` | number of shares by change: {_names(meanings.CHANGES)} |\n"
        "| `taken_at` | time when the clouds were read: UTC, ISO 8601 |\n"
        "| `fingerprint` | SHA-256 over the results of all rows and shares |\n"
        "| `files` | paths of the files written |\n\n"
        "The file also has `changed` (every change), `outgoing` (every share with another project)"
        " and `lines` (every row and share). Results, codes and changes mean:\n\n"
        "| name | meaning |\n|---|---|\n"
        + "\n".join(
            f"| `{name}` | {text} |"
            for words in (
                results,
                meanings.ABSENCES,
                meanings.UNREAD,
                meanings.CHANGES,
            )
            for name, text in words.items()
        )
        + "\n"
    )


def _seed() -> str:
    """Return the section on seeds; in its example, each vault but the first is unusable."""
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
        f"| `{name}` | {_names(kind.__dataclass_fields__)} |"
        for name, kind in seeds.RECORDS.items()
    )
    return (
        "## A seed for the simulated cloud: `simulator --shares seed.json`\n\n"
        "In a simulated cloud made from a workbook, all shares of the workbook are pending,"
        " and all\n"
        "of its vaults have room. To rehearse vaults that cannot be used, write the cloud as"
        " json.\n"
        "This `seed.json` has four full-ECS images of 40 GB and four vaults: one that can be"
        " used,\n"
        "one that is too small (`size` in GB, `used` in MB), one at its limit of resources,"
        " and one\n"
        "of the wrong type:\n\n"
        f"```json\n{{\n{tables}\n}}\n```\n\n"
        "This is the inventory"
        f" `shares.csv`:\n\n```text\nimage_id,project_id,status,vault_id\n{rows}\n```\n\n"
        "`sharekit simulator --shares seed.json --clouds-yaml clouds.yaml` starts the cloud, and\n"
        "`sharekit check shares.csv --clouds-yaml clouds.yaml` in another shell finds\n"
        "`vault-too-small`, `vault-resource-limit` and `vault-wrong-type` in the last three rows.\n"
        "Fields of the records in each list:\n\n"
        f"| list | fields |\n|---|---|\n{fields}\n"
    )


def _names(words: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in words)


def _faults() -> str:
    docstring = inspect.getdoc(Faults) or ""
    return docstring.partition("Attributes\n----------\n")[2].partition("\nExamples\n")[0].strip()


def _rules() -> str:
    outcomes = "\n".join(f"| `{name}` | {outcome.meaning} |" for name, outcome in OUTCOMES.items())
    errors = "\n".join(
        f"| `{code}` | {cloud_api.MEANINGS[code]} | {action.value} | {ADVICE.get(code, '–')} |"
        for code, action in sorted(REMEDIES.items())
    )
    return (
        "# Rules, outcomes, error codes\n\n`make docs` generates this page from the code.\n\n"
        "## Rules for rows\n\n"
        "An error blocks its row; with `--strict`, a warning is an error. sharekit repairs a cell\n"
        "only if it can be read in one way, and records each repair. Rule names are stable.\n\n"
        f"{markdown()}\n\n## Outcomes of rows\n\n| outcome | meaning |\n|---|---|\n"
        f"{outcomes}\n\n## Error codes of the cloud\n\n"
        "| code | meaning | action of sharekit | what you can do |\n|---|---|---|---|\n"
        f"{errors}\n\n"
        "Before it sends anything, sharekit compares the vault of each full-ECS image: its"
        " type, its\n"
        f"state, the number of servers that it protects (at most {VAULT_RESOURCES}), and its free\n"
        "room. The image needs at least the room of its system disk (`min_disk`); no listing"
        " shows\n"
        "its data disks. Rows take the room in their order. So a vault that is reported as too\n"
        "small is too small; another one may be too small as well, and then the cloud answers\n"
        "IMG.0182.\n\n"
        "Without such a code the HTTP status decides. After 401 sharekit signs in again; after"
        " 403\n"
        "it sends nothing more for the project; 408 and 5xx are retried with backoff; 429 is\n"
        "treated as flow control; 404 on the batch call means that the cloud does not have this\n"
        "call, so sharekit sends one call for each image; after any other 4xx the request is"
        " split\n"
        "until the image that causes the error is alone in its request.\n"
    )


def _states() -> str:
    moves = "\n".join(
        f"| `{state}` | `{event}` | `{then}` | {EVENTS[event].meaning} |"
        for (state, event), then in TRANSITIONS.items()
    )
    ends = ", ".join(f"`{name}`" for name in sorted(FINAL_STATES))
    return (
        "# The states of a request\n\n`make docs` generates this page from the code.\n\n"
        "A request carries a chunk or a part of one. Its first state is `planned`. The table has\n"
        "every permitted transition. sharekit refuses any other before writing it, and reports a\n"
        "ledger that holds another as damaged. A test follows random transitions and checks that\n"
        "each row keeps exactly one outcome.\n\n"
        f"| state | event | next state | meaning |\n|---|---|---|---|\n{moves}\n\n"
        f"The states {ends} are final. A split passes each image on to exactly one new request;\n"
        "images that reading back showed as changed stay with the old request as `unknown`,"
        " and are\n"
        "settled there; images that a job did although it failed for others stay as `done`.\n\n"
        "## What a row is called while its request is in a state\n\n"
        "`status` says this of a row at any moment, also while the run is under way. What was\n"
        "read before the latest request for a share, or before its job ended, does not count as\n"
        "read. A cloud may lag: what is `contradicted` is called `claimed` until the call of\n"
        "`submit` has ended. A row that a preflight excluded is `already` or `blocked`. A test\n"
        "compares each state in mid-run with the end of the run.\n\n"
        "| state | the cloud said | not read since | read as wanted | read otherwise |\n"
        f"|---|---|---|---|---|\n{_outcomes()}\n\n"
        "## What slows a run down or stops it\n\n"
        "There are five brakes; nothing else slows or stops a run by itself. Every wait is shown\n"
        "with its cause and its end, and ends when the run is stopped.\n\n"
        "| brake | what it does | settings |\n|---|---|---|\n"
        + "".join(f"| {b.name} | {b.effect} | {', '.join(b.settings)} |\n" for b in BRAKES)
    )


def _events() -> str:
    lines = []
    for name, kind in EVENTS.items():
        effect = ", ".join(
            word
            for word, holds in (
                ("voids approvals", kind.voids), ("ends the run", kind.ends), ("once", kind.once),
            )
            if holds
        )  # fmt: skip
        fields = _names(kind.body.__annotations__)
        lines.append(f"| `{name}` | {kind.meaning} | {fields} | {effect or '–'} |")
    return (
        "# Events\n\n`make docs` generates this page from the code.\n\n"
        "A ledger is a list of events, each with a number, a time (UTC), a kind and a body\n"
        "(JSON). A field that ends in `blob` holds the SHA-256 of a table stored beside them.\n"
        "[Evidence](../explanation/evidence.md) says how they are chained. An event that a later\n"
        "version of sharekit adds is read by its number and time alone.\n\n"
        "| kind | what it records | fields of its body | effect |\n|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


#: Was it sent, state of the request, what the cloud said of the share, and that in words.
_SAID = (
    ("no", "planned", "", "nothing: not sent yet"),
    ("yes", "planned", "", "to be sent once more"),
    ("yes", "sent", "", "nothing yet"),
    ("yes", "running", "", "nothing yet: its job runs"),
    ("yes", "done", "success", "done"),
    ("yes", "done", "failed", "failed, by the job's results"),
    ("yes", "refused", "failed", "failed"),
    ("yes", "refused", "success", "done, by the results of a job that failed for others"),
    ("no", "refused", "", "nothing: not sent, because its project or vault was refused"),
    ("yes", "unknown", "", "nothing: the response was lost, or the job is late"),
)


def _outcomes() -> str:
    """Return the lines of the table of outcomes; each is what the code assigns."""
    lines = []
    for sent, state, claimed, words in _SAID:
        seen = pd.Series(["", "accepted", "pending"], dtype=STR)
        said = pd.DataFrame(
            {"sent": sent, "state": state, "claimed": claimed}, seen.index, dtype=STR
        )
        wanted = pd.Series("accepted", seen.index, dtype=STR)
        found = verdict(said["sent"] == "yes", wanted, said["state"], said["claimed"], seen)
        cells = " | ".join(f"`{outcome}`" for outcome in found)
        lines.append(f"| `{state}` | {words} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")

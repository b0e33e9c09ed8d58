"""The start page: a workbook, clouds and the runs of a folder; each run opens in the panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from sharekit.clouds.registry import Clouds
from sharekit.core.columns import with_unit
from sharekit.core.errors import InputError, UsageError
from sharekit.interfaces.run_folder import SUFFIXES, Listed, RunFolder, Upload
from sharekit.runs.background import BackgroundRun

from .model import ReviewModel
from .panel import Desk, Panel
from .tree import Tree, button, field, h, note, short, table

#: Opens a run for review: its ledger, the clouds if the plan names none, and who decides.
Opener = Callable[[Path, Clouds | None, str], ReviewModel]
_MB: Final = 1_000_000


class App(Panel):
    """The start page of a folder, which turns into the panel of a run, and back."""

    def __init__(self, folder: RunFolder, opener: Opener, *, reviewer: str = "") -> None:
        self._about = folder, opener, reviewer
        super().__init__()

    def _start(self) -> Desk:
        return StartDesk(self, *self._about)

    def __repr__(self) -> str:
        return (
            "<sharekit: the start page shows where widgets do; sharekit.plan(…), review(…), "
            "report(…) and audit(…) do the same elsewhere>"
        )


class StartDesk:
    """What was chosen on the start page, and its steps; every one is a public call of sharekit."""

    grid, title = None, "the start"

    def __init__(self, app: App, folder: RunFolder, opener: Opener, reviewer: str) -> None:
        self._app, self._folder, self._open, self._reviewer = app, folder, opener, reviewer
        self._upload: Upload | None = None
        self._file, self._clouds = "", list[str]()
        self._tested: dict[str, tuple[bool, str]] = {}
        self._written: list[Path] = []
        self._message, self._busy = ("", "good"), ""
        names = self._names()
        self._clouds = names if len(names) == 1 else []

    # -- events ------------------------------------------------------------------------------------
    def say(self, text: str, tone: str = "good") -> None:
        """Show one sentence above the page, or none."""
        self._message, self._busy = (text, tone), ""

    def on_event(self, do: str, key: str, event: Mapping[str, Any]) -> None:
        """Take one step of the page."""
        steps: dict[str, Callable[[], None]] = {
            "draw": lambda: None,
            "upload": lambda: self._begin_upload(key, event["value"]),
            "piece": lambda: self._take_piece(int(key), event["buffers"]),
            "sign_in": self._test_sign_in, "new": self._new_run, "audit": self._audit,
            "file": lambda: self._choose_file(str(event["value"])),
            "clouds": lambda: self._choose_clouds(key, chosen=bool(event["value"])),
            "reviewer": lambda: self._name_reviewer(str(event["value"])),
            "open": lambda: self._go_on(key), "report": lambda: self._report(key),
            "save": lambda: self._save(int(key)),
        }  # fmt: skip
        if do not in steps:
            raise KeyError(do)
        steps[do]()

    def _choose_file(self, name: str) -> None:
        self._file = "" if name == "none" else name

    def _choose_clouds(self, key: str, *, chosen: bool) -> None:
        names = self._names() if key == "" else [key]
        rest = [name for name in self._clouds if name not in names]
        self._clouds = [*rest, *names] if chosen else rest

    def _name_reviewer(self, name: str) -> None:
        self._reviewer = name.strip()

    def _begin_upload(self, name: str, told: Sequence[int]) -> None:
        size, files = (int(number) for number in told)
        if files != 1:
            raise InputError("Choose one file at a time.")
        if self._upload is not None:
            self._upload.close()
        self._upload = Upload(self._folder.path, name, size, self._folder.limits)
        self._ask()

    def _take_piece(self, offset: int, buffers: Sequence[Any]) -> None:
        """Take what has arrived, and ask the page for the next piece."""
        upload, self._upload = self._upload, None  # an error ends it
        if upload is None:
            raise InputError("No file is on its way: choose one.")
        with ExitStack() as ended:
            ended.callback(upload.close)
            if upload.add(offset, b"".join(buffers)):
                self._file = upload.keep()
                self.say(f"{self._file} is in the folder, and chosen.")
                return
            ended.pop_all()
        self._upload = upload
        self._ask()

    def _ask(self) -> None:
        if (upload := self._upload) is None:
            return
        self._busy = f"{upload.name}: {upload.arrived / _MB:,.0f} of {upload.size / _MB:,.0f} MB"
        self._app.send({"next": upload.arrived})

    def _test_sign_in(self) -> None:
        if not self._clouds:
            raise UsageError("Choose a cloud to sign in to.")
        self._begin("signing in")
        self._tested |= self._folder.test_sign_in(self._clouds)
        good = sum(self._tested[name][0] for name in self._clouds)
        tone = "good" if good == len(self._clouds) else "bad"
        self.say(f"{good:,} of {with_unit(len(self._clouds), 'sign-in')} worked.", tone)

    def _new_run(self) -> None:
        if not self._file:
            raise UsageError("Choose a workbook first.")
        self._begin(f"checking {self._file}")
        self._show(self._folder.new_run(self._file, self._clouds, self._progress))

    def _go_on(self, name: str) -> None:
        self._begin(f"opening {name}")
        self._show(self._folder.file(name), self._folder.clouds_for(name, self._clouds))

    def _show(self, path: Path, clouds: Clouds | None = None) -> None:
        self._app.turn_to(self._open(path, clouds, self._reviewer))
        self.say("")

    def _audit(self) -> None:
        self._begin("auditing")
        told, self._written = self._folder.audit(self._file, self._clouds, self._progress)
        if not self._file:
            self._file = self._written[0].name
        self.say(f"{told}. The audit and its reports are in the folder.")

    def _report(self, name: str) -> None:
        self._begin(f"writing the reports of {name}")
        self._written = self._folder.report(name)
        self.say(f"{with_unit(len(self._written), 'report')} of {name} written.")

    def _save(self, place: int) -> None:
        path = self._written[place]
        self._app.send({"file": path.name}, buffers=[path.read_bytes()])

    def _begin(self, what: str) -> None:
        self._busy = f"{what[0].upper()}{what[1:]} …"
        self._app.redraw()

    def _progress(self, what: str, done: int, total: int) -> None:
        self._begin(f"{what}: {done:,} of {total:,}")

    # -- what is seen ------------------------------------------------------------------------------
    def draw(self, submission: BackgroundRun | None = None) -> dict[str, Any]:
        """Return what the page shows; a run that goes on changes nothing before it ends."""
        if submission is not None and submission.state not in ("ended", "failed"):
            return dict(self._app.view)
        text, tone = (self._busy, "calm") if self._busy else self._message
        return {
            "head": [h("div.sk-row", h("h2", "sharekit"),
                       h("span.sk-soft", str(self._folder.path))),
                     h("div", note(text, tone) if text else None, role="status")],
            "above": [h("div.sk-two.sk-start",
                        h("div", self._files()), h("div", self._cloud_choice())),
                      self._buttons(), h("h3", "Runs in this folder"), self._runs(),
                      h("ul", (h("li", path.name, " ", button("Save a copy", "save", place))
                               for place, path in enumerate(self._written)))],
            "below": [], "grid": None,
        }  # fmt: skip

    def _names(self) -> list[str]:
        return self._folder.clouds()

    def _files(self) -> list[Tree]:
        names = self._folder.inputs()
        options = [h("option", short(name, 60), value=name) for name in names]
        return [
            h("h3", "1 Workbook"),
            h("label.sk-drop", "Drop a file here, or choose one: ",
              h("input", type="file", accept=",".join(SUFFIXES), aria_label="Choose a file",
                disabled=bool(self._busy))),
            h("label", "In the folder", h("select", h("option", "choose …", value="none"), options,
                                          do="file", value=self._file or "none")),
        ]  # fmt: skip

    def _cloud_choice(self) -> list[Tree]:
        names = self._names()
        if not names:
            told = "There is no clouds.yaml: only rows are checked. Name one, and begin anew."
            return [h("h3", "2 Clouds"), note(told)]
        lines = [
            h("div", h("label", h("input", type="checkbox", do="clouds", key=name,
                                  checked=name in self._clouds), short(name, 60)),
              self._sign_in_of(name))
            for name in names
        ]  # fmt: skip
        return [
            h("h3", "2 Clouds"), h("div.sk-clouds", lines, tabindex="0", role="group",
                                   aria_label="Clouds"),
            h("div.sk-row", button("Test the sign-in", "sign_in", disabled=bool(self._busy)),
              button("All", "clouds", value=True), button("None", "clouds")),
        ]  # fmt: skip

    def _sign_in_of(self, name: str) -> Tree | None:
        if name not in self._tested:
            return None
        good, told = self._tested[name]
        return h("span.sk-good" if good else "span.sk-bad", short(told, 300))

    def _buttons(self) -> Tree:
        busy = bool(self._busy)
        return h(
            "div.sk-row.sk-begin",
            h("h3", "3 Begin"), field("Your name", "reviewer", self._reviewer, do="reviewer"),
            button("New run", "new", classes="sk-primary", disabled=busy,
                   title="Check the workbook, plan it in a new ledger, and review it"),
            button("Audit", "audit", disabled=busy,
                   title="Compare the workbook, or nothing, with the clouds; changes nothing"),
        )  # fmt: skip

    def _runs(self) -> Tree:
        lines = [(short(one.name, 60), short(one.state, 200), self._steps(one))
                 for one in self._folder.ledgers()]  # fmt: skip
        if not lines:
            return h("p.sk-soft", "None yet: choose a workbook, then New run.")
        return table(("Ledger", "State", "Steps"), lines, "Runs in this folder")

    def _steps(self, one: Listed) -> Tree:
        busy = bool(self._busy)
        return h(
            "div.sk-row",
            button("Go on", "open", one.name, disabled=busy, aria_label=f"Go on with {one.name}")
            if one.kind == "run" else None,
            button("Report", "report", one.name, disabled=busy, aria_label=f"Report of {one.name}")
            if one.kind else None,
        )  # fmt: skip

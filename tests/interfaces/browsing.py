"""A real browser on a real Jupyter server, both on loopback, each with a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Playwright, Route, sync_playwright

import sharekit
from sharekit.interfaces.notebook.panel import Panel

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-extensions"
).split()
_LAB = (
    "--no-browser --allow-root --IdentityProvider.token= --ServerApp.password= "
    "--LabApp.expose_app_in_browser=True --LabApp.extension_manager=readonly "
    "--LabApp.news_url=None "
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"
).split()
_NOTEBOOK = (
    "--no-browser --allow-root --IdentityProvider.token= --ServerApp.password= "
    "--JupyterNotebookApp.expose_app_in_browser=True"
).split()
_SECONDS = 60.0
_NOTEBOOK_CODE = Path(sharekit.__file__).parent / "interfaces" / "notebook"


def chromium() -> str | None:
    """Where the browser is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Window:
    """A page, and every request it made that did not go to this machine."""

    page: Page
    strayed: list[str] = field(default_factory=list)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless chromium."""
    play: Playwright
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def window(
    made: Browser, *, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[Window]:
    """A page of its own; what does not go to loopback is stopped and remembered."""
    context = made.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    shown = Window(context.new_page())
    shown.page.set_default_timeout(_SECONDS * 500)

    def judge(route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in ("data", "blob") or parts.hostname in ("127.0.0.1", "localhost"):
            route.continue_()
        else:
            shown.strayed.append(route.request.url)
            route.abort()

    context.route("**/*", judge)
    try:
        yield shown
    finally:
        context.close()


_BARE = """async ([source, state, number]) => {
  const { default: panel } = await import(
    URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const heard = {};
  const tell = (name, ...what) => (heard[name] ?? []).forEach((one) => one(...what));
  panel.render({ el: document.getElementById(`at-${number}`), model: {
    get: (name) => state[name], off() {},
    on: (name, one) => { (heard[name] ??= []).push(one); },
    send: async (event) => {
      const [view, messages] = await window.tell(number, event);
      state.view = view;
      tell("change:view");
      for (const one of messages) tell("msg:custom", one, []);
    } } });
}"""


def show_bare(page: Page, *panels: Panel, style: str = "") -> None:
    """Panels on a page of nothing else, without a notebook's server: this process answers them."""
    said: list[object] = []
    for panel in panels:
        panel.send = lambda content, buffers=None: said.append(content)

    def tell(number: int, event: dict[str, object]) -> list[object]:
        said.clear()
        panels[number]._receive(None, event, [])
        return [panels[number].view, list(said)]

    page.expose_function("tell", tell)
    places = "".join(f'<main id="at-{number}"></main>' for number in range(len(panels)))
    css = (_NOTEBOOK_CODE / "panel.css").read_text()
    page.set_content(f'<html lang="en"><title>x</title><style>{css}</style>'
                     f'<body style="{style}">{places}')  # fmt: skip
    for number, panel in enumerate(panels):
        source = (_NOTEBOOK_CODE / "panel.js").read_text()
        page.evaluate(_BARE, [source, {"view": panel.view, "hides": ""}, number])


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of code cells."""
    import nbformat  # takes a second, which other tests need not wait for

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, path)
    return path


@contextmanager
def lab(folder: Path, home: Path, *, dark: bool = False, seven: bool = False) -> Iterator[str]:
    """JupyterLab, or Notebook 7, on a folder; gives its address."""
    settings = home / "lab" / "user-settings" / "@jupyterlab"
    theme = {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"}
    plugins = {
        "apputils-extension/themes": theme,
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, value in plugins.items():
        file = settings / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    app = ["notebook", *_NOTEBOOK] if seven else ["lab", *_LAB]
    command = ["jupyter", *app, f"--ServerApp.root_dir={folder}"]
    with _serving(command, folder, home) as url:
        yield url


@contextmanager
def voila(notebook: Path, home: Path, *options: str) -> Iterator[str]:
    """A notebook as an application; gives its address."""
    command = [
        "voila", str(notebook), "--no-browser", "--template=sharekit",
        f"--Voila.connection_dir_root={home}", *options,
    ]  # fmt: skip
    with _serving(command, notebook.parent, home) as url:
        yield url


@contextmanager
def app(folder: Path, home: Path, config: Path) -> Iterator[str]:
    """The application `sharekit app`; gives the address that it prints, with its token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-P", "-m", "sharekit", "app", str(folder), "--no-browser", "--json",
        f"--port={port}", f"--clouds-yaml={config}",
    ]  # fmt: skip
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=home, env=os.environ | {"HOME": str(home)}, stdout=subprocess.PIPE,
            stderr=log, text=True,
        )  # fmt: skip
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            assert line, (home / "server.log").read_text()[-3000:]
            yield json.loads(line)["url"]
        finally:
            server.terminate()
            server.communicate(timeout=30)


def open_notebook(
    page: Page, url: str, name: str, run: str = "notebook:run-all-cells", *, seven: bool = False
) -> None:
    """Open a notebook in Lab or Notebook 7, wait for its kernel, and run a command, if any."""
    page.goto(f"{url}/notebooks/{name}" if seven else f"{url}/doc/tree/{name}?reset")
    page.wait_for_function(
        "() => { const w = window.jupyterapp?.shell?.currentWidget;"
        " const k = w?.sessionContext?.session?.kernel; return k && k.status === 'idle'; }"
    )
    if run:
        page.evaluate("command => window.jupyterapp.commands.execute(command)", run)


@contextmanager
def _serving(command: list[str], folder: Path, home: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "runtime").mkdir(parents=True, exist_ok=True)
    own = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "lab/user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": "lab/workspaces", "IPYTHONDIR": "ipython",
    }  # fmt: skip
    templates = _NOTEBOOK_CODE
    environment = os.environ | {name: str(home / part) for name, part in own.items()}
    environment |= {"JUPYTER_PATH": str(templates), "HOME": str(home)}
    program = Path(sys.executable).with_name(command[0])
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [str(program), *command[1:], f"--port={port}"],
            cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _answers(port, server, home / "server.log")
            url = f"http://127.0.0.1:{port}"
            yield url
        finally:
            server.terminate()
            server.wait(20)


def _answers(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    # Not by loading a page: Voila would run the notebook for it.
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-3000:]}")

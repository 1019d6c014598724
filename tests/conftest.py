"""Fixtures that every test folder may use."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs from all tests but those for one, where sums differ from run to run; let Ctrl-C be heard."""
    wanted = str(config.getoption("-m"))
    if "gpu" not in wanted or "not gpu" in wanted:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # A shell that starts the tests in the background lets them, and every program they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference files beside the checkout; tests that need it skip where it is absent."""
    root = Path(__file__).resolve().parents[1]
    folders = [parent / "shared" for parent in (root, *root.parents[:2])]  # a work tree may lie one folder deeper
    folder = next((each for each in folders if each.is_dir()), None)
    if folder is None:
        pytest.skip("the reference files are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest toy data set: two training videos and one validation video of four seconds."""
    from data_tools.toy.making import make

    folder = tmp_path_factory.mktemp("toy")
    make(folder, seed=0, size="tiny", processes=1)
    return folder


@pytest.fixture(scope="session")
def stamped() -> ModuleType:
    """The maker of small videos whose every frame shows its own number: tests/stamped_videos.py."""
    # By its path: with importmode=importlib no folder of tests can be imported from.
    spec = importlib.util.spec_from_file_location("stamped_videos", Path(__file__).with_name("stamped_videos.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class WeightsHost(ThreadingHTTPServer):
    """A host of weights on this machine.

    Attributes:
        files: name -> content.
        ranges: what each request asked for: the `Range` header, or None.
        resumes: answers a `Range`.
        breaks_after: bytes after which an answer ends too soon; 0 for none.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _WeightsHandler)
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.resumes = True
        self.breaks_after = 0

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"http://127.0.0.1:{self.server_address[1]}/zoo/{name}"


class _WeightsHandler(BaseHTTPRequestHandler):
    server: WeightsHost

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        content = self.server.files.get(self.path.rpartition("/")[2])
        if content is None:
            self.send_error(404)
            return
        begin = 0
        if wanted and self.server.resumes:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        end = begin + self.server.breaks_after if self.server.breaks_after else len(content)
        self.wfile.write(content[begin:end])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def weights_host() -> Iterator[WeightsHost]:
    """A host of weights on this machine, empty at first."""
    server = WeightsHost()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window, by Playwright's Python package; tests that need it skip where either is missing."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=program, args=["--no-sandbox", "--mute-audio"])
        yield started
        started.close()


Opened = Callable[..., "Page"]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens an address: opened(address, width=1280, dark=False) is a page that is drawn; its console stays empty."""
    said: list[str] = []
    contexts = []

    def open_page(address: str, *, width: int = 1280, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_default_timeout(120_000)  # of a machine with much else to do
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.goto(address, wait_until="commit")
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []

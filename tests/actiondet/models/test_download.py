from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from actiondet.downloads import cache_folder, download
from actiondet.models.weights.download import choose_weights
from evaluation.errors import InputError

CONTENT = bytes(range(256)) * 4096
NAME = f"slowonly-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


class Host(BaseHTTPRequestHandler):
    """Serves CONTENT under every name; how, the server's attributes say."""

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        if "missing" in self.path:
            self.send_error(404)
            return
        begin = 0
        if self.headers.get("Range") and self.server.resumes:
            begin = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if begin >= len(CONTENT):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
                self.end_headers()
                return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        end = begin + self.server.breaks_after if self.server.breaks_after else len(CONTENT)
        self.wfile.write(CONTENT[begin:end])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def host() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.ranges, server.resumes, server.breaks_after = [], True, 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(host: ThreadingHTTPServer, name: str = NAME) -> str:
    return f"http://127.0.0.1:{host.server_address[1]}/zoo/{name}"


def test_a_file_is_loaded_once_and_kept(host: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert download(url(host), tmp_path).read_bytes() == CONTENT
    assert download(url(host), tmp_path) == tmp_path / NAME
    assert host.ranges == [None]


def test_a_name_without_a_checksum_is_taken_as_it_comes(host: ThreadingHTTPServer, tmp_path: Path) -> None:
    assert download(url(host, "C2D_8x8_R50.pkl"), tmp_path).read_bytes() == CONTENT


def test_a_broken_download_goes_on_where_it_ended(host: ThreadingHTTPServer, tmp_path: Path) -> None:
    host.breaks_after = 1000
    with pytest.raises(InputError, match=rf"broke after 1000 of {len(CONTENT)} bytes; run again"):
        download(url(host), tmp_path)
    assert not (tmp_path / NAME).exists()
    host.breaks_after = 0
    assert download(url(host), tmp_path).read_bytes() == CONTENT
    assert host.ranges == [None, "bytes=1000-"]


def test_a_server_that_does_not_resume_sends_all_of_it_again(host: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:500])
    host.resumes = False
    assert download(url(host), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("part", "requests"), [(CONTENT, 1), (CONTENT + b"x", 2)])
def test_a_part_of_full_length_is_used_and_a_longer_one_dropped(
    host: ThreadingHTTPServer, tmp_path: Path, part: bytes, requests: int
) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(part)
    assert download(url(host), tmp_path).read_bytes() == CONTENT
    assert len(host.ranges) == requests


@pytest.mark.parametrize("kept", [False, True])
def test_a_wrong_checksum_is_refused_and_the_file_removed(
    host: ThreadingHTTPServer, tmp_path: Path, kept: bool
) -> None:
    name = "slowonly-00000000.pth"
    if kept:
        (tmp_path / name).write_bytes(CONTENT)
    with pytest.raises(InputError, match=rf"{name}: its SHA-256 begins with {NAME[9:17]}, its name says 00000000"):
        download(url(host, name), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_without_a_network_the_message_says_where_to_put_the_file(
    host: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    with pytest.raises(InputError, match=rf"127\.0\.0\.1:9/{NAME}: no connection .*put it at {tmp_path}/{NAME}"):
        download(f"http://127.0.0.1:9/{NAME}")  # the discard port, which nobody serves
    with pytest.raises(InputError, match="the server answers 404 Not Found"):
        download(url(host, "missing.pth"))


def test_only_the_word_published_stands_for_a_download(
    host: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path))
    assert choose_weights("runs/best.pt", None) == "runs/best.pt"
    assert choose_weights("published", url(host)) == str(tmp_path / NAME)
    with pytest.raises(InputError, match="names no published weights"):
        choose_weights("published", None)


@pytest.mark.parametrize("address", ["file:///etc/hostname", "https://example.org/", "weights.pth"])
def test_other_addresses_are_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an http or https address"):
        download(address, tmp_path)

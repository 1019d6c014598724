from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from actiondet.downloads import cache_folder, download
from actiondet.models.weights.download import choose_weights
from evaluation.errors import InputError

CONTENT = bytes(range(256)) * 4096
NAME = f"slowonly-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@pytest.fixture
def host(weights_host: Any) -> Any:
    """The host, with the same content under three names."""
    weights_host.files = dict.fromkeys((NAME, "C2D_8x8_R50.pkl", "slowonly-00000000.pth"), CONTENT)
    return weights_host


def test_a_file_is_loaded_once_and_kept(host: Any, tmp_path: Path) -> None:
    assert download(host.url(NAME), tmp_path).read_bytes() == CONTENT
    assert download(host.url(NAME), tmp_path) == tmp_path / NAME
    assert host.ranges == [None]


def test_a_name_without_a_checksum_is_taken_as_it_comes(host: Any, tmp_path: Path) -> None:
    assert download(host.url("C2D_8x8_R50.pkl"), tmp_path).read_bytes() == CONTENT


def test_a_broken_download_goes_on_where_it_ended(host: Any, tmp_path: Path) -> None:
    host.breaks_after = 1000
    with pytest.raises(InputError, match=rf"broke after 1000 of {len(CONTENT)} bytes; run again"):
        download(host.url(NAME), tmp_path)
    assert not (tmp_path / NAME).exists()
    host.breaks_after = 0
    assert download(host.url(NAME), tmp_path).read_bytes() == CONTENT
    assert host.ranges == [None, "bytes=1000-"]


def test_a_server_that_does_not_resume_sends_all_of_it_again(host: Any, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:500])
    host.resumes = False
    assert download(host.url(NAME), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("part", "requests"), [(CONTENT, 1), (CONTENT + b"x", 2)])
def test_a_part_of_full_length_is_used_and_a_longer_one_dropped(
    host: Any, tmp_path: Path, part: bytes, requests: int
) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(part)
    assert download(host.url(NAME), tmp_path).read_bytes() == CONTENT
    assert len(host.ranges) == requests


@pytest.mark.parametrize("kept", [False, True])
def test_a_wrong_checksum_is_refused_and_the_file_removed(host: Any, tmp_path: Path, kept: bool) -> None:
    name = "slowonly-00000000.pth"
    if kept:
        (tmp_path / name).write_bytes(CONTENT)
    with pytest.raises(InputError, match=rf"{name}: its SHA-256 begins with {NAME[9:17]}, its name says 00000000"):
        download(host.url(name), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_without_a_network_the_message_says_where_to_put_the_file(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    with pytest.raises(InputError, match=rf"127\.0\.0\.1:9/{NAME}: no connection .*put it at {tmp_path}/{NAME}"):
        download(f"http://127.0.0.1:9/{NAME}")  # the discard port, which nobody serves
    with pytest.raises(InputError, match="the server answers 404 Not Found"):
        download(host.url("missing.pth"))


def test_without_a_home_folder_the_variable_for_another_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ACTIONDET_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    with pytest.raises(InputError, match="set the variable ACTIONDET_CACHE"):
        cache_folder()


def test_only_the_word_published_stands_for_a_download(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path))
    assert choose_weights("runs/best.pt", None) == "runs/best.pt"
    assert choose_weights("published", host.url(NAME)) == str(tmp_path / NAME)
    with pytest.raises(InputError, match="names no published weights"):
        choose_weights("published", None)


@pytest.mark.parametrize("address", ["file:///etc/hostname", "https://example.org/", "weights.pth"])
def test_other_addresses_are_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an http or https address"):
        download(address, tmp_path)

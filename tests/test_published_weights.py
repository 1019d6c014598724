"""The README's demo of a published network, from an empty cache; a server on this machine is the host of the weights.

The weights are those of a narrow network in MMAction2's layout, tests/golden/models/slowfast_r50_8x8_tmax.pt.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from actiondet.cli.__main__ import main

from actiondet.config import zoo
from evaluation.label_lists import label_list

ROOT = Path(__file__).resolve().parents[1]
NAME = "ava22/slowfast_r50_8x8_tmax_focal_k400"


def checkpoint() -> bytes:
    """A small file as MMAction2 publishes them."""
    network = torch.load(ROOT / "tests/golden/models/slowfast_r50_8x8_tmax.pt", weights_only=True)
    file = io.BytesIO()
    torch.save({"meta": {}, "state_dict": network["state_dict"]}, file)
    return file.getvalue()


CONTENT = checkpoint()
FILE = f"slowfast-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


@pytest.fixture
def cache(weights_host: Any, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a video, and a host of the weights."""
    weights_host.files[FILE] = CONTENT
    monkeypatch.chdir(tmp_path)
    shutil.copy(toy / "videos" / "toy_val_000.mp4", "street.mp4")
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path / "cache"))
    publish(weights_host.url(FILE), tmp_path, monkeypatch)
    return tmp_path / "cache"


def publish(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the configuration's published weights be the narrow ones at `url`."""
    shutil.copytree(ROOT / "configs", folder / "configs", dirs_exist_ok=True)
    path = folder / "configs" / f"{NAME}.yaml"
    text = re.sub(r"weights: .*", f"weights: {url}", (ROOT / "configs" / f"{NAME}.yaml").read_text())
    path.write_text(text.replace("    depth: 50\n", "    depth: 50\n    width: 4\n    beta_inv: 4\n"))
    monkeypatch.setattr(zoo, "zoo_folder", lambda: folder / "configs")


def demo(monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    """Run the README's command; returns its exit code."""
    (command,) = set(re.findall(r"^actiondet (demo street.mp4 .*)$", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert NAME in command
    monkeypatch.setattr(sys, "argv", ["actiondet", *command.split(), *more])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_draws_from_an_empty_cache_in_avas_words(
    cache: Path, weights_host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo(monkeypatch) == 0
    assert Path("street_drawn.mp4").stat().st_size > 10_000
    assert (cache / FILE).read_bytes() == CONTENT
    assert demo(monkeypatch, "--json", "street.json", "--threshold", "0") == 0
    assert weights_host.ranges == [None]  # the second run finds the file in the cache
    named = set(re.findall(r'"name": "([^"]+)"', Path("street.json").read_text()))
    assert len(named) > 5
    assert named <= set(label_list("ava").names)


def test_a_download_that_was_cut_continues(
    cache: Path, weights_host: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights_host.breaks_after = 1000
    assert demo(monkeypatch) == 2
    assert f"broke after 1000 of {len(CONTENT)} bytes; run again" in capsys.readouterr().err
    assert not Path("street_drawn.mp4").exists()
    weights_host.breaks_after = 0
    assert demo(monkeypatch) == 0
    assert weights_host.ranges == [None, "bytes=1000-"]
    assert (cache / FILE).read_bytes() == CONTENT


def test_a_file_with_another_checksum_is_refused(
    cache: Path, weights_host: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights_host.files["slowfast-00000000.pth"] = CONTENT
    publish(weights_host.url("slowfast-00000000.pth"), cache.parent, monkeypatch)
    assert demo(monkeypatch) == 2
    assert f"its SHA-256 begins with {FILE[9:17]}, its name says 00000000" in capsys.readouterr().err
    assert not (cache / "slowfast-00000000.pth").exists()


def test_without_a_network_a_sentence_says_what_to_fetch_and_where_to_put_it(
    cache: Path, weights_host: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = f"http://127.0.0.1:9/{FILE}"  # the discard port, which no program serves
    publish(nowhere, cache.parent, monkeypatch)
    assert demo(monkeypatch) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert nowhere in sentence
    assert sentence.endswith(f"put it at {cache / FILE}")
    cache.mkdir(exist_ok=True)
    (cache / FILE).write_bytes(CONTENT)
    assert demo(monkeypatch) == 0
    assert weights_host.ranges == []

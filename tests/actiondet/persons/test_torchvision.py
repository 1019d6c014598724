import hashlib
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import Weights, WeightsEnum

from actiondet.persons import torchvision as room
from actiondet.persons.torchvision import TorchvisionPersonDetector, load_torchvision_model
from evaluation.errors import InputError
from evaluation.records import FrameKey


class BrightestColumn(nn.Module):
    """torchvision's contract: finds one person at the mean red, a dog, and a faint person, in each image."""

    def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        answers = []
        for image in images:
            assert image.dtype == torch.float32
            red = float(image[0].mean())
            boxes = torch.tensor([[-5.0, 0, 10, 20], [0, 0, 5, 5], [10, 10, 30, 20]])
            answers.append(
                {"boxes": boxes, "labels": torch.tensor([1, 18, 1]), "scores": torch.tensor([red, 0.9, 0.2])}
            )
        return answers


def test_persons_are_kept_cut_to_the_frame_and_scaled_to_unit_boxes() -> None:
    frames = [np.full((20, 40, 3), (255, 0, 0), dtype=np.uint8) for _ in range(6)]
    frames[5] = np.full((40, 80, 3), (128, 0, 0), dtype=np.uint8)
    keys = [FrameKey("v", moment) for moment in range(6)]
    found = TorchvisionPersonDetector(BrightestColumn(), threshold=0.3).detect(frames, keys)
    assert [each.key.moment for each in found] == list(range(6))
    assert found[0].boxes.tolist() == [[0.0, 0.0, 0.25, 1.0]]
    assert found[0].scores.tolist() == [1.0]
    assert found[5].boxes.tolist() == [[0.0, 0.0, 0.125, 0.5]]
    assert found[5].scores.tolist() == pytest.approx([128 / 255])


def test_the_threshold_reaches_the_network() -> None:
    for name in ("fcos_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn"):
        model = room.get_model(name, weights=None, weights_backbone=None)
        TorchvisionPersonDetector(model, threshold=0.01)
        assert getattr(model, "roi_heads", model).score_thresh == 0.01
        TorchvisionPersonDetector(model, threshold=0.5)
        assert getattr(model, "roi_heads", model).score_thresh == 0.01  # what is above is dropped afterwards


def test_weights_of_a_file_are_those_that_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    name = "ssdlite320_mobilenet_v3_large"
    model = room.get_model(name, weights=None, weights_backbone=None)
    file = tmp_path / "ssd.pth"
    torch.save(model.state_dict(), file)
    loaded = load_torchvision_model(name, str(file))
    first, again = next(iter(model.parameters())), next(iter(loaded.parameters()))
    assert torch.equal(first, again)


def test_faults_name_what_is_wrong(tmp_path: Path) -> None:
    name = "ssdlite320_mobilenet_v3_large"
    with pytest.raises(InputError, match=r"no detector 'fasterrcnn'.*fasterrcnn_resnet50_fpn_v2"):
        load_torchvision_model("fasterrcnn", "DEFAULT")
    with pytest.raises(InputError, match=r"'no.pth' is neither a file nor one of torchvision's: COCO_V1, DEFAULT"):
        load_torchvision_model(name, "no.pth")
    text = tmp_path / "text.pth"
    text.write_text("not a checkpoint")
    with pytest.raises(InputError, match=r"text.pth: not a state dict"):
        load_torchvision_model(name, str(text))
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, other)
    with pytest.raises(InputError, match=r"other.pth: not a state dict of torchvision's ssdlite320"):
        load_torchvision_model(name, str(other))


class Served(BaseHTTPRequestHandler):
    """Serves the files of the server's folder and counts the requests."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        content = (self.server.folder / self.path.lstrip("/")).read_bytes()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    server.folder, server.asked = tmp_path / "host", []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def publish(state: dict[str, Tensor], folder: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put weights on a host under their checksum, and let torchvision's tables name them; returns the file's name."""
    folder.mkdir()
    torch.save(state, folder / "w.pth")
    name = f"w-{hashlib.sha256((folder / 'w.pth').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "w.pth").rename(folder / name)
    entry = Weights(url=f"{address}/{name}", transforms=None, meta={"categories": ["__background__", "person"]})
    table = WeightsEnum("Table", {"COCO_V1": entry, "DEFAULT": entry})
    monkeypatch.setattr(room, "get_model_weights", lambda _: table)
    return name


def test_weights_are_downloaded_once_into_our_cache(
    host: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    kind = "ssdlite320_mobilenet_v3_large"
    model = room.get_model(kind, weights=None, weights_backbone=None)
    address = f"http://127.0.0.1:{host.server_port}"
    name = publish(model.state_dict(), tmp_path / "host", address, monkeypatch)
    for weights in ("DEFAULT", "COCO_V1"):
        loaded = load_torchvision_model(kind, weights)
        assert torch.equal(next(iter(model.parameters())), next(iter(loaded.parameters())))
    assert host.asked == [f"/{name}"]  # type: ignore[attr-defined]
    kept = tmp_path / "cache" / name
    kept.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"its SHA-256 begins with .* or give the file as persons\.weights"):
        load_torchvision_model(kind, "DEFAULT")


def test_without_network_the_message_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONDET_CACHE", str(tmp_path / "cache"))
    name = publish({}, tmp_path / "host", "http://127.0.0.1:9", monkeypatch)
    said = rf"http://127\.0\.0\.1:9/{name}: no connection .*load it elsewhere and put it at .*cache/{name}, "
    with pytest.raises(
        InputError, match=said + r"or give the file as persons\.weights; persons\.name=ssd needs no download"
    ):
        load_torchvision_model("fasterrcnn_resnet50_fpn_v2", "DEFAULT")


@pytest.mark.parametrize(("file", "epsilon"), [("published", 0.0), ("own.pth", 1e-5)])
def test_the_first_published_weights_run_without_epsilon_as_in_torchvision(
    file: str, epsilon: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    name = publish(model.state_dict(), tmp_path / "host", "http://127.0.0.1:9", monkeypatch)
    monkeypatch.setattr(room, "get_model", lambda *_, **__: nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)))
    path = (tmp_path / "host" / name).rename(tmp_path / (name if file == "published" else file))
    loaded = load_torchvision_model("fasterrcnn_resnet50_fpn", str(path))
    assert loaded[1].eps == epsilon  # type: ignore[index]

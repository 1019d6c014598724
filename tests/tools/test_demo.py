import importlib.util
import json
import re
import shutil
import socket
import sys
import threading
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import torch

from actiondet.config import load_config
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.models.build import build_detector
from actiondet.video import VideoWriter, index_video, open_video
from evaluation.command_line import run_tool
from evaluation.formats.ava import ActionList, read_ava_results
from evaluation.formats.person_boxes import write_proposals
from evaluation.page.serving import PageServer
from evaluation.records import FrameKey, PersonBoxes
from tests.actiondet.video.test_live import mpegts

ROOT = Path(__file__).resolve().parents[2]
SECOND = 1_000_000
CONFIG = """
task: detection
model:
  backbone: {name: slowonly, depth: 18, width: 8}
  num_actions: 5
clip: {frames: 4, stride: 3}
transform: {train_short_side: [48, 48], train_crop: 48, test_short_side: 48}
data:
  name: ava
  videos: videos
  actions: actions.pbtxt
  train: {truth: train.csv}
  val: {truth: val.csv}
"""
BOX = [0.25, 0.25, 0.75, 0.75]


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "tools" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gray video of 2.5 seconds at 10 fps, 160 x 120, boxes for it, a config, and weights."""
    folder = tmp_path_factory.mktemp("demo")
    with VideoWriter(folder / "street.mp4", Fraction(10), 160, 120, sound_of=None) as writer:
        for _ in range(25):
            writer.write(np.full((120, 160, 3), 90, dtype=np.uint8))
    (folder / "net.yaml").write_text(CONFIG)
    box, score = np.array([BOX], dtype=np.float32), np.array([0.9], dtype=np.float32)
    write_proposals(
        folder / "boxes.pkl", [PersonBoxes(FrameKey("street", second * SECOND), box, score) for second in (902, 903)]
    )
    torch.manual_seed(0)
    config = load_config(folder / "net.yaml")
    actions = ActionList((1, 2, 5), ("walk", "wave", "jump"), (None,) * 3)
    save_checkpoint(
        Checkpoint(config, build_detector(config.model).state_dict(), actions, score=0.5), folder / "best.pt"
    )
    return folder


@pytest.fixture
def at_work(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the material in it."""
    for file in material.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(demo: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["demo.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        run_tool(demo.main)
    assert isinstance(ended.value.code, int)
    return ended.value.code


STORED = ("--boxes", "boxes.pkl", "--start", "902")


def test_the_drawn_video_has_the_frames_of_the_source_and_boxes_on_people(
    demo: ModuleType, at_work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(demo, monkeypatch, "street.mp4", "--weights", "best.pt", *STORED, "--out", "drawn.mp4") == 0
    said = capsys.readouterr().out
    assert "best.pt, 3 actions (walk, wave, jump)" in said
    assert "found: 2 persons at 3 key frames" in said
    source, drawn = index_video("street.mp4"), index_video("drawn.mp4")
    assert (drawn.width, drawn.height) == (640, 480)  # four times as large, to be read
    assert drawn.rate == source.rate
    assert np.array_equal(drawn.frame_times, source.frame_times)
    with open_video("drawn.mp4") as reader:
        first, last = reader.read([0, 24])
    edge = first[200:280, 158:163].astype(int)
    assert np.abs(edge - 90).max() > 30
    assert np.abs(first[200:280, 250:390].astype(int) - 90).max() < 10
    assert np.abs(last.astype(int) - 90).max() < 10  # nobody is stored for second 904


def test_detections_are_written_for_programs(demo: ModuleType, at_work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["street.mp4", "--weights", "best.pt", *STORED, "--json", "j.json", "--csv", "sub/c.csv"]
    assert run(demo, monkeypatch, *arguments, "--threshold", "0") == 0
    assert not list(at_work.glob("*drawn*"))
    content = json.loads((at_work / "j.json").read_text())
    assert [moment["time"] for moment in content["moments"]] == [0, 1, 2]
    assert content["moments"][0]["persons"][0]["box"] == BOX
    named = {action["name"]: action["score"] for action in content["moments"][1]["persons"][0]["actions"]}
    rows = read_ava_results(at_work / "sub" / "c.csv")
    assert sorted(set(rows.moment.tolist())) == [902 * SECOND, 903 * SECOND]
    assert rows.labels.tolist() == [1, 2, 5] * 2
    assert rows.scores[3:] == pytest.approx([named["walk"], named["wave"], named["jump"]], abs=1e-6)


def test_a_page_plays_the_video_and_lists_the_events(
    demo: ModuleType, at_work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["street.mp4", "--weights", "best.pt", *STORED, "--event-threshold", "0.001"]
    assert run(demo, monkeypatch, *arguments, "--html", "pages/p.html", "--events", "e.jsonl") == 0
    assert "wrote pages/p.html, with the video in it" in capsys.readouterr().out
    assert not list(at_work.glob("*drawn*"))
    text = (at_work / "pages" / "p.html").read_text(encoding="utf-8")
    (found,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    (player,) = json.loads(found)["sections"][0]["parts"]
    assert player["video"].startswith("data:video/mp4;base64,")
    assert player["moments"] == [0, 1, 2]
    assert player["tracks"][0]["boxes"][0] == [2500, 2500, 7500, 7500]
    logged = [json.loads(line) for line in (at_work / "e.jsonl").read_text().splitlines()]
    assert player["events"]["start"] == [each["start"] for each in logged]
    assert run(demo, monkeypatch, *arguments, "--html", "p.txt") == 2
    assert "--html p.txt: expected a name that ends in .html" in capsys.readouterr().err


def test_events_are_logged_in_seconds_of_the_file(
    demo: ModuleType, at_work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (at_work / "thresholds.json").write_text('{"walk": 0.001, "wave": 1, "jump": 1}')
    arguments = ["street.mp4", "--weights", "best.pt", *STORED, "--event-thresholds", "thresholds.json"]
    assert run(demo, monkeypatch, *arguments, "--events", "e.jsonl") == 0
    assert not list(at_work.glob("*drawn*"))
    (event,) = map(json.loads, (at_work / "e.jsonl").read_text().splitlines())
    assert (event["source"], event["person"], event["action"]) == ("street", 0, "walk")
    assert (event["start"], event["end"]) == (0.0, 1.5)  # of 902 and 903, each for half a second around it
    assert event["box"] == BOX
    assert "person 0    walk" in capsys.readouterr().out
    assert run(demo, monkeypatch, *arguments, "--events", "-") == 0
    (line,) = capsys.readouterr().out.splitlines()  # and nothing else
    assert json.loads(line) == event
    (at_work / "thresholds.json").write_text('{"fly": 0.5}')
    assert run(demo, monkeypatch, *arguments, "--events", "f.jsonl") == 2
    assert "'fly': the network does not know this action" in capsys.readouterr().err


def served(content: bytes) -> str:
    """The address at which one connection gets this content."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, listening:
            connection.sendall(content)

    threading.Thread(target=serve, daemon=True).start()
    return f"tcp://127.0.0.1:{listening.getsockname()[1]}"


def test_streams_are_watched_until_they_end(
    demo: ModuleType, at_work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    addresses = [served(mpegts(60)), served(mpegts(30))]
    network = ("--config", "net.yaml", "--every", "0.5", "--reconnect", "0", "--latency", "60")
    assert run(demo, monkeypatch, *addresses, *network, "--events", "e.csv", "--out", "d.mp4") == 0
    said = capsys.readouterr().out
    assert "random weights" in said
    assert "wrote d.mp4" in said
    assert "8 key frames, 0 left out; delay beyond the look-ahead: median" in said
    assert (at_work / "e.csv").read_text().startswith("source,person,action,start,end,")
    assert [len(index_video(name)) for name in ("d.mp4", "d_2.mp4")] == [60, 30]
    assert run(demo, monkeypatch, addresses[0], *network) == 2
    assert "cannot be read (Connection refused)" in capsys.readouterr().err
    assert run(demo, monkeypatch, addresses[0], *network, "--csv", "d.csv", "--json", "-") == 2
    assert "is watched while it runs, leave out --json, --csv; --events FILE" in capsys.readouterr().err
    assert run(demo, monkeypatch, addresses[0], *network, "--out", "d.avi") == 2
    assert "--out d.avi: the drawn video is an mp4" in capsys.readouterr().err
    assert run(demo, monkeypatch, addresses[0], *network, "--persons", "stored") == 2
    assert "--persons stored" in capsys.readouterr().err
    assert run(demo, monkeypatch, "street.mp4", addresses[0], *network) == 2
    assert "2 sources: expected streams and cameras, or a single file" in capsys.readouterr().err


def test_a_stream_is_served_while_it_runs(
    demo: ModuleType, at_work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = served(mpegts(60))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        network = ("--config", "net.yaml", "--every", "0.5", "--reconnect", "0", "--latency", "60")
        assert run(demo, monkeypatch, source, *network, "--serve", port) == 2
        assert f"port {port}: cannot be listened at" in capsys.readouterr().err
    told: list[tuple[str, object]] = []
    monkeypatch.setattr(PageServer, "tell", lambda _, kind, content, **__: told.append((kind, content)))
    assert run(demo, monkeypatch, source, *network, "--serve", "0", "--events", "e.jsonl") == 0
    assert "page: http://127.0.0.1:" in capsys.readouterr().out
    states = [content.time for kind, content in told if kind == "now"]
    assert states == [0, 0.5, 1, 1.5, 2]
    assert told[-1][0] == "end"
    assert run(demo, monkeypatch, source, source, *network, "--serve", "0") == 2
    assert "--serve 0: the page shows one source, found 2" in capsys.readouterr().err
    assert run(demo, monkeypatch, source, *network, "--host", "0.0.0.0") == 2
    assert "give --serve, too" in capsys.readouterr().err
    assert run(demo, monkeypatch, "street.mp4", "--config", "net.yaml", "--serve", "0") == 2
    assert "--html PAGE makes a page of street.mp4" in capsys.readouterr().err


def test_random_weights_are_said_plainly(
    demo: ModuleType, at_work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(demo, monkeypatch, "street.mp4", "--config", "net.yaml", "--persons", "ssd") == 0
    said = capsys.readouterr().out
    assert "random weights: the labels mean nothing" in said
    assert "misses small, seated and hidden people" in said
    assert (at_work / "street_drawn.mp4").is_file()
    with open_video("street_drawn.mp4") as reader:
        assert reader.read([0])[0, 460:].min() < 40  # the caption's dark ground


@pytest.mark.parametrize(
    ("start", "said"),
    [([], "found: 1 person at 3 key frames"), (["--start", "950"], "is 950 (--start) when the file begins")],
    ids=["the data set's start", "another start"],
)
def test_stored_boxes_lie_on_the_clock_of_their_data_set(
    start: list[str],
    said: str,
    demo: ModuleType,
    at_work: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The boxes are of seconds 902 and 903; the configuration says that files begin at second 900.
    arguments = ["street.mp4", "--weights", "best.pt", "--boxes", "boxes.pkl", "--json", "j.json", *start]
    assert run(demo, monkeypatch, *arguments) == 0
    assert said in capsys.readouterr().out


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


FAULTS = {
    "missing video": (["no.mp4", "--weights", "best.pt"], "no.mp4: no such file"),
    "sound only": (["sound.mp4", "--weights", "best.pt"], "sound.mp4: holds no video"),
    "cut video": (["cut.mp4", "--weights", "best.pt"], "cut.mp4:"),
    "no weights": (["street.mp4"], "runs/demo/best.pt, which the network would come from, does not exist"),
    "missing weights": (["street.mp4", "--weights", "w.pt"], "w.pt"),
    "other network": (["street.mp4", "--weights", "best.pt", "--config", "wide.yaml"], "best.pt"),
    "avi out": (["street.mp4", "--weights", "best.pt", "--out", "drawn.avi"], "ends in .mp4"),
    "onto itself": (["street.mp4", "--weights", "best.pt", "--out", "street.mp4"], "is the video itself"),
    "no folder": (["street.mp4", "--weights", "best.pt", "--out", "best.pt/drawn.mp4"], "best.pt/drawn.mp4"),
    "no boxes": (["street.mp4", "--weights", "best.pt", "--persons", "stored"], "--boxes FILE"),
    "other boxes": (["other.mp4", "--weights", "best.pt", "--boxes", "boxes.pkl"], "no boxes of video 'other'"),
    "unknown persons": (["street.mp4", "--weights", "best.pt", "--persons", "yolo"], "yolo"),
    "unknown setting": (
        ["street.mp4", "--weights", "best.pt", "--person-setting", "treshold=1"],
        "did you mean 'threshold'",
    ),
    "no font": (["street.mp4", "--weights", "best.pt", "--font", "a.ttf"], "a.ttf: no such file"),
    "truth alone": (["street.mp4", "--truth", "gt.pkl"], "give --tubes V.pkl too"),
    "tubes and a network": (["street.mp4", "--tubes", "v.pkl", "--weights", "best.pt"], "leave out --weights"),
    "tubes at moments": (
        ["street.mp4", "--tubes", "v.pkl", "--batch", "2", "--every", "0.5", "--import", "os"],
        "leave out --batch, --import, --every",
    ),
    "no tubes": (["street.mp4", "--tubes", "v.pkl"], "v.pkl"),
    "no step": (["street.mp4", "--weights", "best.pt", "--every", "0"], "above 0"),
}


@pytest.mark.parametrize(("arguments", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_end_in_one_sentence_and_leave_no_file(
    arguments: list[str],
    message: str,
    demo: ModuleType,
    at_work: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_sound(at_work / "sound.mp4")
    whole = (at_work / "street.mp4").read_bytes()
    (at_work / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (at_work / "other.mp4").write_bytes(whole)
    (at_work / "wide.yaml").write_text(CONFIG.replace("num_actions: 5", "num_actions: 6"))
    before = sorted(at_work.rglob("*"))
    assert run(demo, monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert sorted(at_work.rglob("*")) == before
    assert (at_work / "street.mp4").read_bytes() == whole

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import ModuleType
from typing import Literal

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actiondet.video import VideoIndex, VideoReader, index_video, open_video, stream_frames
from actiondet.video.containers import decode_packet, open_video_stream, video_packets
from actiondet.video.pyav_reader import PyavReader
from evaluation.errors import InputError

READERS: list[Literal["decord", "pyav"]] = ["decord", "pyav"]


@pytest.fixture(scope="module")
def safe_video(stamped: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = stamped.write_stamped(
        tmp_path_factory.mktemp("reader") / "safe.mp4", 60, options={"preset": "veryfast", "g": "12"}
    )
    return path


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest, safe_video: Path) -> VideoReader:
    if request.param == "decord":
        pytest.importorskip("decord")
    return open_video(safe_video, request.param)


def test_frames_come_in_the_order_asked_with_repeats(reader: VideoReader, stamped: ModuleType) -> None:
    asked = [30, 3, 3, 59, 0, 30]
    images = reader.read(asked)
    assert images.shape == (6, 64, 96, 3)
    assert images.dtype == np.uint8
    assert [stamped.read_stamp(image) for image in images] == asked


def test_the_frames_of_a_clip_may_be_an_array_or_nothing(reader: VideoReader, stamped: ModuleType) -> None:
    assert [stamped.read_stamp(image) for image in reader.read(np.array([4, 8]))] == [4, 8]
    assert reader.read([]).shape == (0, 64, 96, 3)


def test_the_result_can_be_written_to_without_changing_later_ones(reader: VideoReader) -> None:
    first = reader.read([5, 5])
    kept = first[1].copy()
    first[0] = 0
    np.testing.assert_array_equal(first[1], kept)
    np.testing.assert_array_equal(reader.read([5])[0], kept)


@pytest.mark.parametrize("frame", [-1, 60])
def test_a_frame_that_is_not_there_is_an_index_error(reader: VideoReader, frame: int) -> None:
    with pytest.raises(IndexError, match=rf"safe.mp4 has no frame {frame}: its 60 frames count from 0"):
        reader.read([3, frame])


def test_a_closed_reader_opens_again(reader: VideoReader, stamped: ModuleType) -> None:
    reader.read([1])
    reader.close()
    reader.close()
    assert stamped.read_stamp(reader.read([2])[0]) == 2


def test_an_open_reader_can_be_pickled(reader: VideoReader, stamped: ModuleType) -> None:
    reader.read([1])
    again = pickle.loads(pickle.dumps(reader))
    assert stamped.read_stamp(again.read([33])[0]) == 33


def _read_elsewhere(reader: VideoReader, answers: SimpleQueue[bytes]) -> None:
    answers.put(reader.read([5, 40, 13]).tobytes())
    reader.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_with_a_reader_that_was_opened_in_the_parent(
    reader: VideoReader, method: Literal["fork", "spawn"]
) -> None:
    expected = reader.read([5, 40, 13]).tobytes()
    context = multiprocessing.get_context(method)
    if method == "spawn":  # what a spawned process gets is a pickle; starting one here would cost a second
        assert pickle.loads(pickle.dumps(reader)).read([5, 40, 13]).tobytes() == expected
        return
    answers: SimpleQueue[bytes] = context.SimpleQueue()
    workers = [context.Process(target=_read_elsewhere, args=(reader, answers), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        assert answers.get() == expected
        worker.join(60)
        assert worker.exitcode == 0
    assert reader.read([5, 40, 13]).tobytes() == expected


def test_decord_refuses_a_file_that_it_would_read_wrong(stamped: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("decord")
    path = stamped.write_stamped(tmp_path / "old.avi", 10, codec="mpeg4", options={"bf": "2"})
    with pytest.raises(InputError, match=r"old.avi: decord would give wrong frames, because .*avi.*; use reader auto"):
        open_video(path, "decord")


def test_auto_takes_the_faster_exact_reader(safe_video: Path) -> None:
    assert isinstance(open_video(safe_video), PyavReader)


def test_decord_says_where_it_is_not_installed(
    safe_video: Path, stamped: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actiondet.video.reader.decord_is_installed", lambda: False)
    assert stamped.read_stamp(open_video(safe_video).read([7])[0]) == 7
    with pytest.raises(InputError, match="decord is not installed"):
        open_video(safe_video, "decord")


def test_an_index_is_kept_and_not_made_again(safe_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = pickle.loads(pickle.dumps(index_video(safe_video)))
    monkeypatch.setattr("actiondet.video.reader.index_video", None)
    assert open_video(safe_video, "auto", index).index is index


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_jump_reads_no_packet_but_those_that_the_frame_needs(
    suffix: str, stamped: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stamped.write_stamped(tmp_path / f"b{suffix}", 60, options={"preset": "veryfast", "g": "12", "bf": "1"})
    index = index_video(path)
    read: list[Packet[VideoStream]] = []

    def counted(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        for packet in video_packets(container, stream):
            read.append(packet)
            yield packet

    monkeypatch.setattr("actiondet.video.pyav_reader.video_packets", counted)
    with open_video(path, "pyav", index) as reader:
        assert [stamped.read_stamp(image) for image in reader.read([5, 29, 53])] == [5, 29, 53]
    assert index.packets is not None
    places = np.searchsorted(index.packets.start_frames, [5, 29, 53], side="right") - 1
    packets = np.array([np.flatnonzero(index.packets.frame_of_packet == frame)[0] for frame in (5, 29, 53)])
    needed = int((packets + 1 - index.packets.start_packets[places]).sum())
    assert needed <= len(read) <= needed + 2  # the last frame waits in the decoder for others


def test_a_decoder_that_needs_the_first_frames_gets_them(
    safe_video: Path, stamped: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[bool] = []

    def opened(path: str, *, probe: bool) -> tuple[InputContainer, VideoStream]:
        probed.append(probe)
        return open_video_stream(path, probe=probe)

    def decoded(stream: VideoStream, packet: Packet[VideoStream] | None, number: int = -1) -> list[VideoFrame]:
        return decode_packet(stream, packet, number) if probed[-1] else []

    monkeypatch.setattr("actiondet.video.pyav_reader.open_video_stream", opened)
    monkeypatch.setattr("actiondet.video.pyav_reader.decode_packet", decoded)
    with open_video(safe_video, "pyav") as reader:
        assert [stamped.read_stamp(image) for image in reader.read([20, 31, 50])] == [20, 31, 50]
    assert probed == [False, True]


def test_of_several_streams_the_same_one_is_taken_without_decoding(stamped: ModuleType, tmp_path: Path) -> None:
    small = stamped.write_stamped(tmp_path / "small.mp4", 12, size=(64, 48))
    large = stamped.write_stamped(tmp_path / "large.mp4", 12, size=(96, 64))
    both = tmp_path / "both.mp4"
    with av.open(str(both), "w") as target, av.open(str(small)) as one, av.open(str(large)) as other:
        sources = [(source, target.add_stream_from_template(source.streams.video[0])) for source in (one, other)]
        for source, stream in sources:
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    sizes = []
    for probe in (False, True):
        container, stream = open_video_stream(str(both), probe=probe)
        sizes.append((stream.index, stream.codec_context.width, stream.codec_context.pix_fmt))
        container.close()
    assert sizes[0] == sizes[1]


def _stamp_or_refusal(stamped: ModuleType, reader: VideoReader, place: int) -> int | str:
    try:
        return int(stamped.read_stamp(reader.read([place])[0]))
    except InputError as fault:
        return str(fault)


def damaged_in_the_middle(stamped: ModuleType, path: Path) -> VideoIndex:
    """Write a video of 90 frames, and damage it after it was indexed."""
    stamped.write_stamped(path, 90, options={"preset": "veryfast", "g": "15", "bf": "2"})
    index = index_video(path)
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 2
    content[middle : middle + 1500] = b"\xff" * 1500
    path.write_bytes(content)
    return index


@pytest.mark.parametrize("reader", READERS)
def test_another_file_in_the_place_of_the_first_is_refused(
    reader: Literal["decord", "pyav"], stamped: ModuleType, tmp_path: Path
) -> None:
    if reader == "decord":
        pytest.importorskip("decord")
    path = stamped.write_stamped(tmp_path / "a.mp4", 10)
    video = open_video(path, reader)
    stamped.write_stamped(path, 30)
    with pytest.raises(InputError, match=r"a\.mp4: is another file than the one whose frames were counted"):
        video.read([9])


def test_a_file_that_grows_keeps_the_frames_that_it_had(stamped: ModuleType, tmp_path: Path) -> None:
    content = stamped.write_stamped(tmp_path / "whole.ts", 60, options={"preset": "veryfast", "bf": "3"}).read_bytes()
    path = tmp_path / "growing.ts"
    path.write_bytes(content[: len(content) // 2])
    with open_video(path) as reader:
        reader.read([0])
        path.write_bytes(content)
        count = len(reader.index)
        assert [stamped.read_stamp(image) for image in reader.read(range(count - 2))] == list(range(count - 2))
        assert len(reader.read([count - 1])) == 1
        assert len(list(stream_frames(path, reader.index))) == count


def test_decord_refuses_frames_in_a_damaged_part_in_one_sentence(stamped: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("decord")
    index = damaged_in_the_middle(stamped, tmp_path / "bad.mp4")
    with (
        open_video(tmp_path / "bad.mp4", "decord", index) as reader,
        pytest.raises(InputError, match=r"bad.mp4: decord cannot decode frames 30 to 60, the file is damaged .*\)$"),
    ):
        reader.read(range(30, 61))


def test_a_frame_in_a_damaged_part_is_refused_or_an_artefact_but_never_another_frame(
    stamped: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "bad.mp4"
    index = damaged_in_the_middle(stamped, path)
    with open_video(path, "pyav", index) as reader:
        seen = [_stamp_or_refusal(stamped, reader, place) for place in range(90)]
    refusal = "{}: frame {} cannot be decoded, the file is damaged there"
    assert all(answer in (place, -1, refusal.format(path, place)) for place, answer in enumerate(seen))
    assert seen != list(range(90))

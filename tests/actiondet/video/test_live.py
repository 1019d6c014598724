"""Streams over loopback: what they show, and what they survive. Servers are threads; PyAV writes the MPEG-TS."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
import pytest

from actiondet.video import live
from actiondet.video.live import LiveFrame, LiveStream, address_name, is_live
from evaluation.errors import InputError

RATE = 10


def mpegts(frames: int, *, size: tuple[int, int] = (64, 48), first: int = 0, container: str = "mpegts") -> bytes:
    """Grey frames, each brighter than the one before, as a stream of RATE frames a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream("mpeg2video", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 5
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), 20 + 3 * number, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = first + number
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return buffer.getvalue()


@pytest.fixture
def serve() -> Iterator[object]:
    """serve(answers) -> address: each connection gets the next answer; those after the last are refused."""
    sockets: list[socket.socket] = []

    def start(answers: Sequence[bytes]) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def run() -> None:
            for answer in answers:
                try:
                    connection, _ = listening.accept()
                    with connection:
                        connection.sendall(answer)
                except OSError:
                    return
            listening.close()

        threading.Thread(target=run, daemon=True).start()
        return f"tcp://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for each in sockets:
        each.close()


def test_addresses_are_told_from_files() -> None:
    for address in ("rtsp://cam/1", "RTSP://cam/1", "http://h/a.m3u8", "udp://@:1234", "camera:0", "/dev/video1"):
        assert is_live(address)
    for path in ("street.mp4", "camera", "/videos/rtsp.mp4", "C:\\street.mp4", "ftp://h/x.mp4", "file:///x.mp4"):
        assert not is_live(path)
    with pytest.raises(InputError, match=r"file:///etc/passwd: not a stream; expected rtsp://"):
        LiveStream("file:///etc/passwd")


def test_names_hold_neither_passwords_nor_queries() -> None:
    assert address_name("rtsp://admin:secret@10.0.0.7:554/door?key=1") == "10.0.0.7:554/door"
    assert address_name("camera:0") == "camera:0"


def test_frames_arrive_with_rising_seconds(serve) -> None:  # type: ignore[no-untyped-def]
    stream = LiveStream(serve([mpegts(20)]), reconnect=0)
    frames = list(stream)
    assert 18 <= len(frames) <= 20  # the last ones may stay in the decoder of a stream that is cut off
    assert np.diff([frame.seconds for frame in frames]) == pytest.approx(0.04, abs=1e-3)
    assert frames[0].seconds == 0
    assert {frame.segment for frame in frames} == {0}
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)
    assert np.diff([float(frame.image.mean()) for frame in frames]).min() > 0
    assert stream.is_recorded is False


def test_a_lost_connection_is_taken_up_and_its_frames_are_a_segment_of_their_own(serve) -> None:  # type: ignore[no-untyped-def]
    stream = LiveStream(serve([mpegts(10), mpegts(10, size=(32, 48))]), reconnect=60)
    frames: list[LiveFrame] = []
    for frame in stream:
        frames.append(frame)
        if sum(each.segment > 0 for each in frames) == 5:
            stream.stop()
    assert stream.connections == 2
    assert {frame.image.shape for frame in frames if frame.segment == 0} == {(48, 64, 3)}
    assert {frame.image.shape for frame in frames if frame.segment > 0} == {(48, 32, 3)}
    assert np.diff([frame.seconds for frame in frames]).min() > 0


def test_a_clock_that_begins_again_goes_on(serve) -> None:  # type: ignore[no-untyped-def]
    stream = LiveStream(serve([mpegts(10, first=90_000) + mpegts(10)]), reconnect=0)
    seconds = [frame.seconds for frame in stream]
    assert len(seconds) > 12
    assert np.diff(seconds).min() > 0
    assert seconds[-1] < 5


def test_decoding_that_falls_behind_goes_on_at_a_later_keyframe(serve) -> None:  # type: ignore[no-untyped-def]
    late: list[float] = []  # what the clock says for the next packets

    stream = LiveStream(serve([mpegts(40)]), reconnect=0, clock=lambda: late.pop() if late else 0.0)
    frames = []
    for frame in stream:
        frames.append(frame)
        if len(frames) == 12:
            late += [60.0] * 8
    brightness = [float(frame.image.mean()) for frame in frames]
    assert stream.skipped > 0
    assert len(frames) + stream.skipped >= 38
    assert max(np.diff(brightness)) > 2 * np.median(np.diff(brightness))
    assert frames[-1].segment == 1


def test_damage_is_counted_or_passed_over(serve) -> None:  # type: ignore[no-untyped-def]
    content = bytearray(mpegts(40))
    rng = np.random.default_rng(0)
    for place in rng.integers(len(content) // 4, len(content) // 2, 300).tolist():
        content[place] = int(rng.integers(256))
    frames = list(LiveStream(serve([bytes(content)]), reconnect=0))
    assert len(frames) > 10
    assert np.diff([frame.seconds for frame in frames]).min() > 0


@pytest.mark.parametrize("content", [b"", np.random.default_rng(0).bytes(200_000)], ids=["silence", "noise"])
def test_what_is_not_a_stream_is_one_sentence(content: bytes, serve) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"127\.0\.0\.1:\d+: cannot be read \(.+\); check the address"):
        list(LiveStream(serve([content]), reconnect=0))


def test_an_address_at_which_nothing_listens_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(InputError, match=r"cannot be read \(Connection refused\)"):
        list(LiveStream(f"tcp://127.0.0.1:{port}", reconnect=0))


def test_pictures_that_would_fill_the_memory_are_refused(serve, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(live, "_MOST_PIXELS", 1000)
    with pytest.raises(InputError, match=r"pictures of 64x48 pixels; expected at most 1,000 pixels"):
        list(LiveStream(serve([mpegts(20)]), reconnect=0))


class Playlist(BaseHTTPRequestHandler):
    content = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"

    clip = b""

    def do_GET(self) -> None:
        if self.path == "/turn":
            self.send_response(302)
            self.send_header("Location", "/turn")
            self.end_headers()
            return
        if self.path == "/clip.mp4":
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.clip)))
            self.end_headers()
            self.wfile.write(self.clip)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.apple.mpegurl")
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Playlist)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_recording_on_a_server_ends_with_its_last_frame(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Playlist, "clip", mpegts(20, container="mp4"))
    stream = LiveStream(f"{site}/clip.mp4", reconnect=float("inf"))
    assert len(list(stream)) == 20
    assert stream.is_recorded
    assert stream.connections == 1


@pytest.mark.parametrize("path", ["list.m3u8", "turn"])
def test_playlists_of_local_files_and_endless_redirects_are_refused(path: str, site: str) -> None:
    with pytest.raises(InputError, match=r"cannot be read"):
        list(LiveStream(f"{site}/{path}", reconnect=0))

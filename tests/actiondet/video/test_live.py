"""Streams over loopback: what they show, and what they survive. Servers are threads; PyAV writes the MPEG-TS."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import av
import numpy as np
import pytest

from actiondet.video import live
from actiondet.video.live import LiveFrame, LiveStream, address_name, is_live
from evaluation.errors import InputError


def mpegts(
    frames: int, *, size: tuple[int, int] = (64, 48), first: int = 0, rate: int = 25, container: str = "mpegts"
) -> bytes:
    """Gray frames, each brighter than the one before, as a stream of `rate` frames a second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream("mpeg2video", rate=rate)
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


def playlist(*lines: str) -> bytes:
    head = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    return "\n".join([*head, *(f"#EXTINF:0.4,\n{line}" for line in lines), "#EXT-X-ENDLIST", ""]).encode()


class Site(BaseHTTPRequestHandler):
    """Answers with `files`, or leads to another address, and notes who asked for what."""

    files: ClassVar[dict[str, bytes]] = {}
    elsewhere: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = self.files.get(self.path)
        self.send_response(200 if content is not None else 302 if self.path in self.elsewhere else 404)
        self.send_header("Location", self.elsewhere.get(self.path, "/"))
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server, without its first part: HOST:PORT, whose HOST is 127.0.0.1 or localhost."""
    for name, empty in (("files", {}), ("elsewhere", {}), ("asked", [])):
        monkeypatch.setattr(Site, name, empty)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Site.files |= {f"/{place}.ts": mpegts(10, first=10 * place) for place in range(2)}
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_recording_on_a_server_ends_with_its_last_frame(site: str) -> None:
    Site.files["/clip.mp4"] = mpegts(20, container="mp4")
    stream = LiveStream(f"http://{site}/clip.mp4", reconnect=float("inf"))
    assert len(list(stream)) == 20
    assert stream.is_recorded
    assert stream.connections == 1


def test_a_playlist_is_read_from_its_own_host(site: str) -> None:
    Site.files["/list.m3u8"] = playlist("0.ts", "/1.ts")
    Site.files["/master.m3u8"] = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlist.m3u8\n"
    for address in (f"http://{site}/list.m3u8", f"http://admin:secret@{site}/master.m3u8"):
        frames = list(LiveStream(address, reconnect=0))
        assert len(frames) == 20
        assert np.diff([frame.seconds for frame in frames]) == pytest.approx(0.04, abs=1e-3)


@pytest.mark.parametrize("way", ["playlist", "master", "redirect"])
def test_a_playlist_that_leads_to_another_host_is_refused_unless_that_is_allowed(way: str, site: str) -> None:
    other = f"http://{site.replace('127.0.0.1', 'localhost')}"
    Site.files["/list.m3u8"] = playlist(*{"redirect": ("0.ts", "x.ts")}.get(way, ("0.ts", f"{other}/1.ts")))
    Site.elsewhere["/x.ts"] = f"{other}/1.ts"
    address = "list.m3u8"
    if way == "master":
        address = "master.m3u8"
        Site.files["/master.m3u8"] = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n{other}/list.m3u8\n".encode()
    with pytest.raises(InputError, match=r"leads to http://localhost, not to its own host.*--any-host"):
        list(LiveStream(f"http://{site}/{address}", reconnect=60))
    assert "/1.ts" not in Site.asked
    assert len(list(LiveStream(f"http://{site}/{address}", reconnect=0, any_host=True))) == 20


@pytest.mark.parametrize(
    "content",
    [
        playlist("file:///etc/hostname"),
        playlist("/etc/hostname"),
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"v=0\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        b"not a video",
    ],
    ids=["file", "path", "concat", "sdp", "text"],
)
def test_what_leads_to_files_of_the_machine_or_nowhere_is_refused(content: bytes, site: str) -> None:
    Site.files["/x"] = content
    with pytest.raises(InputError, match=r"cannot be read \(.+\); check the address"):
        list(LiveStream(f"http://{site}/x", reconnect=0))


def test_endless_redirects_end(site: str) -> None:
    Site.elsewhere["/turn"] = "/turn"
    with pytest.raises(InputError, match=r"cannot be read"):
        list(LiveStream(f"http://{site}/turn", reconnect=0))
    assert 1 < len(Site.asked) < 50


def test_a_server_that_accepts_and_says_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SILENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for protocol in ("tcp", "http", "rtsp"):
            with pytest.raises(InputError, match=r"cannot be read \(.+\); check the address"):
                list(LiveStream(f"{protocol}://127.0.0.1:{port}", reconnect=0))


@pytest.mark.parametrize("rate", [25, 50])
def test_a_size_and_a_rate_that_change_within_a_connection_go_on(rate: int, serve) -> None:  # type: ignore[no-untyped-def]
    after = mpegts(12, size=(32, 48), rate=rate, first=10 * rate // 25)
    frames = list(LiveStream(serve([mpegts(10) + after]), reconnect=0))
    assert [frame.image.shape for frame in frames[:8]] == [(48, 64, 3)] * 8
    assert [frame.image.shape for frame in frames[-8:]] == [(48, 32, 3)] * 8
    steps = np.diff([frame.seconds for frame in frames])
    assert steps[:7] == pytest.approx(1 / 25, abs=1e-3)
    assert steps[-7:] == pytest.approx(1 / rate, abs=1e-3)
    assert steps.min() > 0


def test_a_clock_that_wraps_goes_on(serve) -> None:  # type: ignore[no-untyped-def]
    ticks_a_frame = 90_000 // 25
    stream = LiveStream(serve([mpegts(30, first=2**33 // ticks_a_frame - 15)]), reconnect=0)
    seconds = [frame.seconds for frame in stream]
    assert len(seconds) >= 28
    assert np.diff(seconds) == pytest.approx(0.04, abs=1e-3)

"""A served page: what is answered, what is refused, and clients who do not read."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from evaluation.errors import InputError
from evaluation.page import Page, Section, Text
from evaluation.page.serving import PageServer

PAGE = Page("Door <1>", [Section("", [Text(["hello"])])], media=("connect-src",))


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer(PAGE, 0) as running:
        yield running


@pytest.fixture
def open_server() -> Iterator[PageServer]:
    """One that other machines reach."""
    with PageServer(PAGE, 0, host="0.0.0.0") as running:
        yield running


def port_of(server: PageServer) -> int:
    return int(re.findall(r":(\d+)/", server.address)[0])


def ask(
    server: PageServer, path: str = "/", method: str = "GET", *, host: str | None = None, **headers: str
) -> HTTPResponse:
    """Ask the server on this machine; `host` is what the request calls it, with PORT for its port."""
    port = port_of(server)
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    if host != "":
        connection.putheader("Host", (host or "127.0.0.1:PORT").replace("PORT", str(port)))
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    return connection.getresponse()


def token_of(server: PageServer) -> str:
    return server.address.partition("?")[2]


def test_the_page_is_served_with_every_caution(server: PageServer) -> None:
    answer = ask(server)
    assert answer.status == 200
    assert "Door &lt;1&gt;" in answer.read().decode()
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Server"] == "actiondet"
    assert server.address.startswith("http://127.0.0.1:")
    assert "token" not in server.address
    head = ask(server, method="HEAD")
    assert (head.status, head.read()) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/etc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/page.css",
        "*",
        "/pictures/",
    ],
)
def test_nothing_else_is_served(server: PageServer, path: str) -> None:
    answer = ask(server, path)
    assert answer.status == 404
    assert answer.read() == b"There is nothing here but the page.\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X"])
def test_other_methods_are_refused(server: PageServer, method: str) -> None:
    answer = ask(server, method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:PORT", "127.0.0.1.evil.example:PORT", "localhost.evil.example:PORT", "", "127.0.0.1"]
    + ["127.0.0.1:1", "x@127.0.0.1:PORT", "10.0.0.1:PORT", "[::1", "localhost:PORT/x", "localhost:99999999"],
)
def test_other_names_are_refused(server: PageServer, host: str) -> None:
    for path in ("/", "/pictures", "/messages"):
        assert ask(server, path, host=host).status == 421


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LOCALHOST:PORT", "[::1]:PORT"])
def test_this_machines_names_are_answered(server: PageServer, host: str) -> None:
    assert ask(server, host=host).status == 200


def test_pages_of_other_sites_get_nothing(server: PageServer) -> None:
    assert ask(server, "/pictures", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status == 403
    assert ask(server, "/messages", Origin="http://evil.example").status == 403
    assert ask(server, "/messages", Origin="null").status == 403
    followed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask(server, **followed).status == 200  # a link in a chat
    assert ask(server, **followed | {"Sec_Fetch_Dest": "iframe"}).status == 403


def test_beyond_this_machine_everything_needs_the_token(open_server: PageServer) -> None:
    token = token_of(open_server)
    assert re.fullmatch(r"token=[\w-]{20,}", token)
    for path in ("/", "/pictures", "/messages", "/etc/passwd"):
        for wrong in ("", "?token=", "?token=wrong", f"?{token}x", "?token=%ff%00", f"?other=1&{token.upper()}"):
            assert ask(open_server, path + wrong).status == 403
    assert ask(open_server, f"/?{token}").status == 200
    assert ask(open_server, f"/?{token}", host="192.168.1.7:PORT").status == 200
    assert ask(open_server, f"/?{token}", host=f"{socket.gethostname()}:PORT").status == 200
    assert ask(open_server, f"/?{token}", host="evil.example:PORT").status == 421


def test_messages_come_in_order_and_after_a_break_from_there(server: PageServer) -> None:
    server.tell("event", {"name": "</script> \n走"})
    server.tell("now", {"time": 1}, kept=False)
    server.tell("now", {"time": 2}, kept=False)
    server.tell("event", {"name": "b"})
    answer = ask(server, "/messages")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    lines = [answer.readline().decode() for _ in range(12)]
    assert [line.strip() for line in lines[0::4]] == ["id: 1", "id: 3", "id: 4"]
    assert [line.strip() for line in lines[1::4]] == ["event: event", "event: now", "event: event"]
    assert json.loads(lines[2].removeprefix("data: ")) == {"name": "</script> \n走"}
    assert json.loads(lines[6].removeprefix("data: ")) == {"time": 2}
    server.tell("event", {"name": "c"})
    assert answer.readline() == b"id: 5\n"
    again = ask(server, "/messages", Last_Event_ID="4")
    assert again.readline() == b"id: 5\n"


def picture(answer: HTTPResponse) -> bytes:
    """The next picture of a stream."""
    assert answer.readline() == b"--picture\r\n"
    assert answer.readline() == b"Content-Type: image/jpeg\r\n"
    size = int(answer.readline().split()[1])
    answer.readline()
    content = answer.read(size)
    assert answer.readline() == b"\r\n"
    return content


def test_the_latest_picture_is_sent(server: PageServer) -> None:
    assert not server.watched
    answer = ask(server, "/pictures")
    assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=picture"
    for content in (b"one", b"two"):
        server.show(content)
        assert picture(answer) == content
    assert server.watched


def test_clients_who_do_not_read_hold_up_nobody(server: PageServer) -> None:
    lazy = []
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", port_of(server)))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /pictures HTTP/1.1\r\nHost: 127.0.0.1:{port_of(server)}\r\n\r\n".encode())
        lazy.append(connection)
    reader = ask(server, "/pictures")
    for number in range(100):  # 200 MB for those who do not read
        content = str(number).encode() * 100_000
        server.show(content)
        assert picture(reader) == content
    for connection in lazy:
        connection.close()


def test_there_is_an_end_to_connections(server: PageServer) -> None:
    held = [socket.create_connection(("127.0.0.1", port_of(server))) for _ in range(64)]
    refused = socket.create_connection(("127.0.0.1", port_of(server)), timeout=60)
    assert refused.recv(1) == b""
    for connection in held:
        connection.close()


def test_the_end_is_reported(server: PageServer) -> None:
    answer = ask(server, "/messages")
    server.tell("now", {}, kept=False)
    assert answer.readline() == b"id: 1\n"
    server.tell("end", {})
    server.__exit__(None, None, None)
    assert "event: end" in answer.read().decode()


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(InputError, match=rf"port {port}: cannot be listened at"):
        PageServer(PAGE, port)


def test_a_port_that_is_taken_is_refused(server: PageServer) -> None:
    with pytest.raises(InputError, match="in use"):
        PageServer(PAGE, port_of(server))


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match=r"host 192\.0\.2\.1, port 0: cannot be listened at"):
        PageServer(PAGE, 0, host="192.0.2.1")

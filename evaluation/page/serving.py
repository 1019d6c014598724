"""A page that is served while something goes on: the page, a stream of pictures, and what happens. Nothing else.

Whoever can reach the port can ask; so what is asked for is checked before anything is answered. Other methods than GET
and HEAD, other paths, and hosts' names that are not this machine's are refused. The last keeps out pages of other sites
that let their name point to this machine (DNS rebinding). Beyond this machine a token is asked for, too.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
import socketserver
import sys
import threading
from collections import deque
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from evaluation.errors import InputError
from evaluation.page.writing import Page, page_html, page_json

PAGE, PICTURES, MESSAGES = "/", "/pictures", "/messages"
_MOST_CONNECTIONS = 64
_PATIENCE = 10.0  # seconds that a client may take for a request, or to take what is sent
_KEPT_MESSAGES = 2000
_BREATH = 5.0  # seconds after which an empty line finds out whether a client is still there
_BOUNDARY = "picture"


class PageServer:
    """Serves a page, its pictures as MJPEG, and its messages as server-sent events, each client in a thread of its own.

    A client that is slow gets fewer pictures; nothing waits for it, and nothing is kept for it. A context manager.

    Attributes:
        address: of the page, with its token where there is one.
    """

    def __init__(self, page: Page, port: int, *, host: str = "127.0.0.1") -> None:
        """Take the port; entering the context begins to answer.

        Args:
            page: what is served.
            port: 0 takes any that is free.
            host: address of this machine at which to listen; one that other machines reach brings a token.

        Raises:
            InputError: no such address, or a port that is taken or not allowed.
        """
        self.feed = _Feed()
        here = _is_loopback(host)
        token = "" if here else secrets.token_urlsafe(16)
        try:
            self._server = _Server(host, port, page_html(page), token, self.feed)
        except (OSError, OverflowError) as fault:
            reason = getattr(fault, "strerror", None) or str(fault)
            raise InputError(
                f"host {host}, port {port}: cannot be listened at ({reason}); give another port, 0 for any that is free"
            ) from None
        shown = f"[{host}]" if ":" in host else host
        if host in ("0.0.0.0", "::", ""):
            shown = socket.gethostname()
        self.address = f"http://{shown}:{self._server.server_port}/" + (f"?token={token}" if token else "")
        serve = partial(self._server.serve_forever, poll_interval=0.1)
        self._thread = threading.Thread(target=serve, name="serve the page", daemon=True)

    def show(self, jpeg: bytes) -> None:
        """Take the next picture."""
        self.feed.show(jpeg)

    def tell(self, kind: str, content: object, *, kept: bool = True) -> None:
        """Send a message to all clients.

        Args:
            kind: what the script listens for.
            content: what JSON holds.
            kept: clients that come later get it, too; otherwise only the latest one of its kind matters.
        """
        self.feed.tell(kind, page_json(content), kept=kept)

    @property
    def watched(self) -> bool:
        """Whether anyone looks at the pictures."""
        return self.feed.viewers > 0

    def __enter__(self) -> PageServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all connections."""
        self.feed.end()
        self.feed.wait_for_clients()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Feed:
    """What is to be sent: the latest picture, the last messages, and the latest state of each kind."""

    def __init__(self) -> None:
        self.viewers = self.clients = 0
        self.ended = False
        self._changed = threading.Condition()
        self._picture, self._picture_number = b"", 0
        self._messages: deque[tuple[int, str, str]] = deque(maxlen=_KEPT_MESSAGES)
        self._states: dict[str, tuple[int, str]] = {}
        self._number = 0

    def show(self, jpeg: bytes) -> None:
        with self._changed:
            self._picture, self._picture_number = jpeg, self._picture_number + 1
            self._changed.notify_all()

    def tell(self, kind: str, text: str, *, kept: bool) -> None:
        with self._changed:
            self._number += 1
            if kept:
                self._messages.append((self._number, kind, text))
            else:
                self._states[kind] = self._number, text
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def count(self, *, viewers: int = 0, clients: int = 0) -> None:
        """Note that those who look at pictures, or wait for messages, become more or fewer."""
        with self._changed:
            self.viewers += viewers
            self.clients += clients
            self._changed.notify_all()

    def wait_for_viewer(self) -> None:
        """Until someone looks at the pictures."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self.viewers > 0)

    def wait_for_clients(self) -> None:
        """Let the last messages go out, to whoever takes them soon."""
        with self._changed:
            self._changed.wait_for(lambda: self.clients == 0, timeout=1)

    def picture_after(self, number: int) -> tuple[int, bytes]:
        """The latest picture, once there is one with a larger number; none after a while without."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self._picture_number > number, timeout=_BREATH)
            return self._picture_number, self._picture if self._picture_number > number else b""

    def messages_after(self, number: int) -> tuple[int, list[tuple[int, str, str]]]:
        """The messages and states with larger numbers, once there are any; none after a while without."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self._number > number, timeout=_BREATH)
            found = [each for each in self._messages if each[0] > number]
            found += [(each, kind, text) for kind, (each, text) in self._states.items() if each > number]
            return self._number, sorted(found)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, host: str, port: int, html: str, token: str, feed: _Feed) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.page, self.token, self.feed = html.encode("utf-8"), token, feed
        self._slots = threading.Semaphore(_MOST_CONNECTIONS)
        super().__init__((host, port), _Handler)
        names = {"localhost"} if _is_loopback(host) else {"localhost", host.lower(), socket.gethostname().lower()}
        self._names, self._here = names, _is_loopback(host)

    def server_bind(self) -> None:
        """As HTTPServer does, without asking for the machine's full name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def allows_host(self, header: str) -> bool:
        """Whether a request's Host is this machine: a number, which no other site's name can be, or its own name."""
        try:
            parts = urlsplit(f"//{header}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.server_port or parts.username is not None or parts.path:
            return False
        if name in self._names:
            return True
        try:
            number = ipaddress.ip_address(name)
        except ValueError:
            return False
        return number.is_loopback or not self._here

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, unless too many are answered already."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE

    def parse_request(self) -> bool:
        """Read the request; False where it is refused."""
        if not super().parse_request():
            return False
        if self.command not in ("GET", "HEAD"):
            return self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are answered.")
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not self.server.allows_host(hosts[0]):
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "This machine is not asked by that name.")
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{hosts[0]}":
            return self._refuse(HTTPStatus.FORBIDDEN, "Pages of other sites get no answer.")
        opened = self.headers.get("Sec-Fetch-Mode") == "navigate" and self.headers.get("Sec-Fetch-Dest") == "document"
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not opened:
            return self._refuse(HTTPStatus.FORBIDDEN, "Pages of other sites get no answer.")
        path, _, query = self.path.partition("?")
        if self.server.token:
            (given,) = parse_qs(query, errors="replace").get("token", [""])[:1]
            if not hmac.compare_digest(given.encode("utf-8", "replace"), self.server.token.encode("ascii")):
                return self._refuse(
                    HTTPStatus.FORBIDDEN, "The token is missing or wrong; it is in the printed address."
                )
        self.path = path
        if path not in (PAGE, PICTURES, MESSAGES):
            return self._refuse(HTTPStatus.NOT_FOUND, "There is nothing here but the page.")
        return True

    def do_HEAD(self) -> None:
        """Answer without the content."""
        self._begin({PAGE: _HTML, PICTURES: _MJPEG, MESSAGES: _EVENTS}[self.path])

    def do_GET(self) -> None:
        """Answer."""
        self.do_HEAD()
        {PAGE: self._send_page, PICTURES: self._send_pictures, MESSAGES: self._send_messages}[self.path]()

    def _send_page(self) -> None:
        self.wfile.write(self.server.page)

    def _send_pictures(self) -> None:
        feed, number = self.server.feed, 0
        feed.count(viewers=1)
        try:
            while not feed.ended:
                number, jpeg = feed.picture_after(number)
                if jpeg:
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode("ascii") + jpeg + b"\r\n")
        finally:
            feed.count(viewers=-1)

    def _send_messages(self) -> None:
        feed = self.server.feed
        last = self.headers.get("Last-Event-ID", "")
        number = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else 0
        feed.count(clients=1)
        try:
            ended = False
            while not ended:
                ended = feed.ended
                number, messages = feed.messages_after(number)
                lines = [f"id: {each}\nevent: {kind}\ndata: {text}\n\n" for each, kind, text in messages]
                self.wfile.write(("".join(lines) or ": nothing new\n\n").encode("utf-8"))
        finally:
            feed.count(clients=-1)

    def _begin(self, kind: str, status: HTTPStatus = HTTPStatus.OK, size: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if size is not None:
            self.send_header("Content-Length", str(size))
        for name, value in _CAUTION.items():
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()

    def _refuse(self, status: HTTPStatus, sentence: str) -> bool:
        content = f"{sentence}\n".encode("ascii")
        self._begin("text/plain; charset=utf-8", status, len(content))
        if self.command != "HEAD":
            self.wfile.write(content)
        self.close_connection = True
        return False

    def version_string(self) -> str:
        """What answers, without its version."""
        return "actiondet"

    def log_message(self, *_: object) -> None:
        """Say nothing: addresses hold the token."""


_HTML = "text/html; charset=utf-8"
_MJPEG = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
_EVENTS = "text/event-stream; charset=utf-8"
_CAUTION = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def _is_loopback(host: str) -> bool:
    """Whether no other machine can reach an address of this one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

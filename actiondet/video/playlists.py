"""Playlists (HLS): what they lead to is read over HTTP, and from their own host alone."""

from __future__ import annotations

import base64
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.parse import unquote, urlsplit

from evaluation.errors import InputError

_READ_FAULTS = (OSError, HTTPException)


class OwnHost:
    """Opens addresses of one host for FFmpeg, which asks for what a playlist names.

    What cannot be read is empty: an exception could not pass through FFmpeg.

    Attributes:
        refusal: that something led elsewhere.
    """

    def __init__(self, address: str, *, name: str, patience: float) -> None:
        """Remember the host.

        Args:
            address: http or https, of the playlist.
            name: what the source is called in messages.
            patience: seconds without an answer after which a connection counts as lost.
        """
        self.refusal: InputError | None = None
        self._host, self._name, self._patience = urlsplit(address).hostname, name, patience
        self._opener = urllib.request.build_opener(_Redirects(self))

    def __call__(self, url: str, flags: int, options: Mapping[str, str]) -> _Body:
        """Open an address for reading; `options` may hold the first byte and the one past the last."""
        if not self.allows(url):
            return _Body(None)
        parts = urlsplit(url)
        headers = {"User-Agent": "actiondet"}
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
        if int(options.get("end_offset") or 0) > 0:
            headers["Range"] = f"bytes={int(options.get('offset') or 0)}-{int(options['end_offset']) - 1}"
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        try:
            return _Body(self._opener.open(urllib.request.Request(bare, headers=headers), timeout=self._patience))
        except _READ_FAULTS:
            return _Body(None)

    def allows(self, url: str) -> bool:
        """Whether an address is of this host; remembers the refusal if it is not."""
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname == self._host:
            return True
        self.refusal = InputError(
            f"{self._name}: leads to {parts.scheme}://{parts.hostname or parts.path}, not to its own host over http; "
            "allow other hosts with any_host (--any-host) if you trust the source"
        )
        return False


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the host."""

    def __init__(self, own: OwnHost) -> None:
        self._own = own

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        return super().redirect_request(req, fp, code, msg, headers, newurl) if self._own.allows(newurl) else None


class _Body:
    """The content of an address; it ends where reading fails."""

    def __init__(self, content: IO[bytes] | None) -> None:
        self._content = content

    def read(self, size: int) -> bytes:
        if self._content is None:
            return b""
        try:
            return self._content.read(size)
        except _READ_FAULTS:
            return b""

    def close(self) -> None:
        if self._content is not None:
            self._content.close()

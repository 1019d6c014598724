"""From the parts of a page to its HTML: one file that holds its style, its scripts and its data, and loads nothing."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from evaluation.files import write_text
from evaluation.page.parts import Part, scripts_of

_DIGITS = 6  # of numbers on a page; more cannot be seen


@dataclass(frozen=True)
class Section:
    """A heading, a note below it, and parts. Without a title it is a block alone."""

    title: str
    parts: Sequence[Part]
    note: str = ""


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: its heading.
        sections: from top to bottom.
        subtitle: a line below the heading, such as what was compared with what.
        foot: the last line, such as what made the page.
        media: what may be loaded from beside the page, such as "media-src" for a video; the page itself loads nothing.
    """

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    foot: str = "Made by actiondet."
    media: Sequence[str] = ()


def write_page(path: str | os.PathLike[str], page: Page) -> None:
    """Write a page as one HTML file in UTF-8, whole or not at all."""
    write_text(path, page_html(page))


def page_html(page: Page) -> str:
    """The HTML of a page."""
    scripts = dict.fromkeys(
        script for section in page.sections for part in section.parts for script in scripts_of(part)
    )
    script = "\n".join([_resource("shell.js"), *map(_resource, scripts), "buildPage();\n"])
    style = _resource("page.css")
    policy = [
        "default-src 'none'",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        *(f"{kind} 'self' file: data: blob:" if kind == "media-src" else f"{kind} 'self'" for kind in page.media),
    ]
    values = {
        "policy": "; ".join(policy),
        "title": html.escape(_shown(page.title)),
        "style": style,
        "script": script,
        "data": page_json(page),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda name: values[name[1]], _resource("template.html"))


def page_json(content: object) -> str:
    """`content` as JSON that may stand inside a page's script element; NaN becomes null.

    Records become objects that hold their fields, parts also their `kind`.
    """
    text = json.dumps(_plain(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return _shown(text)


def _plain(value: object) -> Any:
    if isinstance(value, str) or value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist() if value.dtype.kind in "iub" else _plain(value.tolist())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields} if isinstance(value, Part) else fields
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    raise TypeError(f"a page cannot hold {type(value).__name__}")


def _shown(text: str) -> str:
    """Text without halves of surrogates, which names of files may hold and UTF-8 cannot."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _resource(name: str) -> str:
    return files("evaluation.page").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """The mark by which a browser knows a script or style of ours, and runs no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")

"""The HTML of a page: data that cannot end its script, values that JSON lacks, and scripts that the policy admits."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from evaluation import page
from evaluation.page import Bars, Beside, Gallery, Page, Part, Picture, Section, Series, Text

ODD = "\"quoted\" 'x' <b>&amp;</script><script>alert(1)</script> 走路 🚶 \u2028 {{data}}"


class Elements(HTMLParser):
    """The contents of scripts and styles, and the attributes of all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.contents: list[tuple[str, str]] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.contents.append((self.attributes[-1][0], data))


def data_of(text: str) -> dict:  # type: ignore[type-arg]
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    content = json.loads(found)
    assert isinstance(content, dict)
    return content


def test_names_stay_data_whatever_they_hold() -> None:
    bars = Bars(names=[ODD], series=[Series(values=[0.5], name=ODD)])
    text = page.page_html(Page(ODD, [Section(ODD, [bars, Text([ODD])], note=ODD)]))
    content = data_of(text)
    assert content["title"] == ODD
    assert content["sections"][0]["parts"][0]["names"] == [ODD]
    elements = Elements(text)
    assert [tag for tag, _ in elements.attributes if tag == "script"] == ["script", "script"]  # data, and ours
    assert dict(elements.contents)["title"] == ODD


def test_a_page_loads_nothing_and_runs_its_own_script_alone() -> None:
    text = page.page_html(Page("t", [Section("s", [Gallery([Picture("data:,", "p")])])]))
    elements = Elements(text)
    assert all(not (attributes.keys() & {"src", "srcset"}) for _, attributes in elements.attributes)
    assert "://" not in re.sub(r'"http://www.w3.org/2000/svg"', "", text)
    (policy,) = [each["content"] for tag, each in elements.attributes if "http-equiv" in each]
    assert policy is not None
    for kind in ("script", "style"):
        content = [inner for tag, inner in elements.contents if tag == kind][-1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "draw.Gallery" in text
    assert "draw.Bars" not in text  # what no part needs is left out


def test_scripts_of_parts_inside_parts_come_once() -> None:
    inner = Beside([Gallery([]), Beside([Gallery([]), Bars([], [])])])
    text = page.page_html(Page("t", [Section("s", [inner])]))
    assert text.count("draw.Gallery =") == text.count("draw.Bars =") == 1


def test_numbers_that_json_lacks_are_missing_ones() -> None:
    values = np.array([0.1, np.nan, np.inf], dtype=np.float32)
    assert json.loads(page.page_json({"v": values, "n": np.int64(3), "x": float("nan")})) == {
        "v": [pytest.approx(0.1), None, None],
        "n": 3,
        "x": None,
    }


def test_a_name_that_is_not_text_is_written_with_marks(tmp_path: Path) -> None:
    page.write_page(tmp_path / "p.html", Page("caf\udce9.mp4", []))
    assert "caf\ufffd.mp4" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_every_kind_of_part_has_its_function() -> None:
    folder = Path(page.__file__).parent
    kinds = [each for each in vars(page).values() if isinstance(each, type) and issubclass(each, Part) and each != Part]
    assert len(kinds) > 5
    for kind in kinds:
        scripts = [folder.joinpath(name).read_text() for name in ("shell.js", *kind.scripts)]
        assert any(f"draw.{kind.__name__} = " in script for script in scripts), kind


def test_a_page_is_written_without_torch() -> None:
    code = "import sys, evaluation.page as p; p.page_html(p.Page('t', [])); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

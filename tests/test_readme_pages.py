"""The pages are short, their links lead somewhere, and their tables say what the configurations say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ZOO = ROOT / "configs/README.md"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "configs/COMING_FROM.md")),
    *sorted(ROOT.glob("*/README.md")),
]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short_and_leads_with_a_small_picture() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    *_, picture = (found[1] for line in lines[:10] if (found := re.match(r"!\[.+\]\((.+)\)", line)))
    assert (ROOT / picture).stat().st_size < 150_000


def test_the_readmes_rows_of_the_zoo_are_those_of_the_configurations() -> None:
    rows = re.findall(r"^\| `(\w+/\w+)` \| (.+) \| ([\d.]+ M) \| ([\d.]+) \|$", (ROOT / "README.md").read_text(), re.M)
    assert len(rows) >= 6
    page = re.findall(r"^\| \[(.+)\]\(.+\) \|.*\| (.+) \| (.+) \| (.+) \|.*\|.*\|$", ZOO.read_text(), re.M)
    assert set(rows) <= set(page)  # tests/tools/test_command.py measures the page's


def test_the_badges_say_what_the_packaging_says() -> None:
    shown = re.findall(r">([^<>]+)</text>", (ROOT / ".github/badges.svg").read_text())
    badges = dict(zip(shown[::2], shown[1::2], strict=True))
    setup = (ROOT / "setup.py").read_text()
    versions = re.findall(r"Python :: (3\.\d+)", setup)
    assert badges["python"] == f"{versions[0]} - {versions[-1]}"
    assert f'license="{badges["license"]}"' in setup
    assert "strict = true" in (ROOT / "pyproject.toml").read_text()


def test_the_citation_names_the_version_of_the_package() -> None:
    import actiondet

    assert f"version: {actiondet.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_image_installs_what_setup_requires() -> None:
    text = (ROOT / "Dockerfile").read_text()
    setup = (ROOT / "setup.py").read_text()
    for library in re.findall(r'"(torch(?:vision)?>=[\d.]+)"', text):
        assert f'"{library}"' in setup
    assert 'ENTRYPOINT ["actiondet"]' in text

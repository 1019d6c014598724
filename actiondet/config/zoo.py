"""The packaged configurations, found by name: `ava22/slowfast_r50_8x8_k400` inside a clone or not."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from actiondet.config.plain_yaml import ConfigError

_HEADER = re.compile(r"([A-Z][^:]*):\s+(.+)")


@dataclass(frozen=True)
class ZooEntry:
    """What the comments at the top of a configuration say.

    Attributes:
        name: its zoo name, the path below configs/ without `.yaml`.
        path: the file.
        title: the first line.
        counterpart: the published training that it repeats; "none" if there is none.
        figure: what that training's authors publish; empty if nothing is known.
        license: of the published weights; empty where the header does not say.
    """

    name: str
    path: Path
    title: str
    counterpart: str
    figure: str
    license: str

    @property
    def has_figure(self) -> bool:
        """Whether a figure of the counterpart is known."""
        return self.figure not in ("", "none is known")


def zoo_folder() -> Path:
    """The folder of the packaged configurations.

    Raises:
        ConfigError: actiondet is not installed.
    """
    spec = find_spec("actiondet.configs")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the packaged configurations are missing; install actiondet with pip (pip install -e . in a clone)"
        )
    return Path(spec.origin).parent


def zoo_names() -> list[str]:
    """The names of all packaged configurations, sorted."""
    folder = zoo_folder()
    files = (path for path in folder.glob("*/*.yaml") if path.parent.name != "_base_")
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in files)


def find_config(name: str | Path) -> Path:
    """The file of a configuration: a path as it is, else the packaged one of this zoo name.

    Raises:
        ConfigError: neither; with the nearest names.
    """
    path = Path(name)
    if path.is_file():
        return path
    text = path.as_posix()
    text = re.sub(r"^(\./)?configs/", "", text)
    stem = text.removesuffix(".yaml")
    if path.is_absolute() or "/" not in stem:
        near = [] if path.is_absolute() else [each for each in zoo_names() if each.rpartition("/")[2] == stem]
        hint = f"; in the zoo there is {', '.join(near)}" if near else ""
        raise ConfigError(f"{name}: no such configuration file{hint}")
    names = zoo_names()
    if stem in names:
        return zoo_folder() / f"{stem}.yaml"
    near = difflib.get_close_matches(stem, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`actiondet zoo` lists the names"
    raise ConfigError(f"{name}: no such configuration file, and no such name in the zoo; {hint}")


def zoo_entry(name: str) -> ZooEntry:
    """What the header of a packaged configuration says."""
    path = find_config(name)
    lines = header_lines(path)
    pairs = {pair[1]: pair[2] for line in lines[1:] if (pair := _HEADER.match(line))}
    return ZooEntry(
        name=name,
        path=path,
        title=lines[0] if lines else "",
        counterpart=pairs.get("Published counterpart", "none"),
        figure=pairs.get("Its figure, published, not ours", ""),
        license=pairs.get("License", ""),
    )


def header_lines(path: Path) -> list[str]:
    """The comments at the top of a configuration, without their mark."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return lines

"""The table of configs/COMING_FROM.md: every setting, configuration and program that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from actiondet.cli.__main__ import PROGRAMS
from pydantic import BaseModel

from actiondet.config import RecognitionConfig
from actiondet.config.networks import RecognizerConfig, SlowFastConfig
from actiondet.config.recognition import Ucf101Config, VideoListConfig
from actiondet.config.schema import SGDConfig
from actiondet.config.zoo import zoo_names

ROOT = Path(__file__).parents[1]
OURS = [
    line.rsplit(" | ", 1)[-1]
    for line in (ROOT / "configs/COMING_FROM.md").read_text().split("\n")
    if line.startswith("| ") and not line.startswith("| there")
]
KNOWN = {name for programs in PROGRAMS.values() for name in programs}
FAMILIES: dict[str, list[type[BaseModel]]] = {
    "data": [Ucf101Config, VideoListConfig],
    "backbone": [SlowFastConfig],
    "optimizer": [SGDConfig],
    "model": [RecognizerConfig],
}


def has(kind: type[BaseModel], key: str) -> bool:
    first, _, rest = key.partition(".")
    if first not in kind.model_fields:
        return False
    if not rest:
        return True
    inner = FAMILIES.get(first) or [kind.model_fields[first].annotation]
    return any(isinstance(each, type) and issubclass(each, BaseModel) and has(each, rest) for each in inner)


def test_the_table_is_there() -> None:
    assert len(OURS) > 40


@pytest.mark.parametrize("text", OURS)
def test_what_the_table_names_exists(text: str) -> None:
    for code in re.findall(r"`([^`]+)`", text):
        if program := re.search(r"actiondet(?:\.cli)? ([\w-]+)", code):
            assert program[1] in KNOWN
        for word in code.split():
            if found := re.fullmatch(
                r"((?:clip|data|model|test|train|transform)\.[a-z0-9_.]+|precise_norm)(=.*)?", word
            ):
                assert has(RecognitionConfig, found[1]), word
            if re.fullmatch(r"(ucf101|kinetics400)/\w+", word):
                assert word in zoo_names()
            if word.startswith("--"):
                programs = ["train_rec", "test_rec", "predict", "export"]
                files = [*(f"tools/{name}.py" for name in programs), "actiondet/command_line.py"]
                sources = [(ROOT / file).read_text() for file in files]
                assert word == "--nproc-per-node" or any(f'"{word}"' in source for source in sources), word

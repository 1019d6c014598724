from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import SerializeAsAny

from actiondet.config import (
    BackboneConfig,
    ConfigError,
    DetectionConfig,
    Settings,
    dump_config,
    json_schema,
    load_config,
    load_recognition_config,
    parse_config,
)
from actiondet.config.choice import Choice, one_of
from actiondet.config.data_sets import AvaConfig
from actiondet.config.schema import AdamWConfig, SGDConfig, TorchvisionPersons
from actiondet.config.zoo import find_config

WHOLE = """\
model:
  backbone: {name: slowonly, depth: 18}
  num_actions: 9
data:
  name: ava
  videos: videos
  actions: actions.pbtxt
  train: {truth: train.csv}
  val: {truth: val.csv}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, text: str = "", *overrides: str, **files: str) -> DetectionConfig:
    """Load t.yaml, the whole configuration followed by `text`, with `files` beside it."""
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "t.yaml").write_text(WHOLE + text)
    return load_config("t.yaml", overrides)


def faults(folder: Path, text: str = "", *overrides: str, **files: str) -> list[str]:
    """The lines of the message that `load` ends with."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides, **files)
    return str(caught.value).splitlines()


# ---------------------------------------------------------------- merging


def test_mappings_merge_and_lists_and_scalars_replace(folder: Path) -> None:
    base = "train: {epochs: 3, batch: 5, schedule: {policy: step, steps: [1, 2], gamma: 0.5}}\n"
    config = load(folder, "base: b.yaml\ntrain: {epochs: 4, schedule: {steps: [7]}}\n", b=base)
    assert (config.train.epochs, config.train.batch) == (4, 5)
    assert config.train.schedule.steps == (7,)
    assert config.train.schedule.gamma == 0.5


def test_later_bases_win_over_earlier_ones_and_the_file_over_both(folder: Path) -> None:
    config = load(
        folder,
        "base: [one.yaml, two.yaml]\ntrain: {epochs: 30}\n",
        one="train: {epochs: 1, batch: 1, seed: 1}\n",
        two="train: {epochs: 2, batch: 2}\n",
    )
    assert (config.train.epochs, config.train.batch, config.train.seed) == (30, 2, 1)


def test_a_base_has_bases_relative_to_itself(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "b.yaml").write_text("base: c.yaml\n")
    (folder / "sub" / "c.yaml").write_text("train: {seed: 8}\n")
    assert load(folder, "base: sub/b.yaml\n").train.seed == 8


@pytest.mark.parametrize(
    ("base", "above", "expected"),
    [
        ("{name: sgd, momentum: 0.5, weight_decay: 0.1}", "{name: adamw}", AdamWConfig()),
        ("{name: sgd, momentum: 0.5}", "{name: sgd, nesterov: true}", SGDConfig(momentum=0.5, nesterov=True)),
        ("{name: sgd, momentum: 0.5}", "{nesterov: true}", SGDConfig(momentum=0.5, nesterov=True)),
    ],
)
def test_only_a_different_name_replaces_the_mapping_of_an_open_family(
    folder: Path, base: str, above: str, expected: Settings
) -> None:
    config = load(folder, f"base: b.yaml\ntrain: {{optimizer: {above}}}\n", b=f"train: {{optimizer: {base}}}\n")
    assert config.train.optimizer == expected


def test_the_command_line_wins(folder: Path) -> None:
    config = load(folder, "train: {epochs: 3}\n", "train.epochs=4", "transform.train_short_side=[256, 300]")
    assert config.train.epochs == 4
    assert config.transform.train_short_side == (256, 300)


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_arguments_does_not_matter_even_where_one_names_a_member(folder: Path, order: int) -> None:
    arguments = ["persons.threshold=0.3", "persons.name=torchvision"][::order]
    config = load(folder, "persons: {name: ssd, threshold: 0.9}\n", *arguments)
    assert config.persons == TorchvisionPersons(threshold=0.3)


def test_an_argument_may_be_a_mapping(folder: Path) -> None:
    config = load(folder, "", "train.optimizer={name: adamw, betas: [0.5, 0.9]}", "train.optimizer.weight_decay=1e-2")
    assert config.train.optimizer == AdamWConfig(betas=(0.5, 0.9), weight_decay=0.01)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-5", 1e-5), ("1E5", 1e5), (".5e-3", 5e-4), ("+2.e-1", 0.2), ("3", 3.0), ("010", 10.0), ("007.5", 7.5)],
)
def test_numbers_are_what_they_look_like(folder: Path, text: str, value: float) -> None:
    assert load(folder, f"train: {{base_lr: {text}}}\n").train.base_lr == value
    assert load(folder, "", f"train.base_lr={text}").train.base_lr == value


@pytest.mark.parametrize("text", ["1:30", "0x10", "inf", ".inf", ".nan", "true_"])
def test_what_is_no_finite_number_is_refused(folder: Path, text: str) -> None:
    (line,) = faults(folder, f"train:\n  base_lr: {text}\n")
    assert line.startswith("t.yaml:11: train.base_lr: ")


def test_null_clears_an_optional_setting(folder: Path) -> None:
    assert load(folder, "train: {clip_grad_norm: null}\n").train.clip_grad_norm is None
    assert load(folder, "", "clip.clip_fps=null").clip.clip_fps is None


def test_a_mapping_may_be_written_once_and_used_twice(folder: Path) -> None:
    text = WHOLE.replace("train: {truth: train.csv}", "train: &part {truth: same.csv}")
    text = text.replace("val: {truth: val.csv}", "val: *part")
    (folder / "t.yaml").write_text(text)
    data = load_config("t.yaml").data
    assert isinstance(data, AvaConfig)
    assert data.train == data.val


# ---------------------------------------------------------------- faults


def test_every_fault_is_reported_at_once_with_file_line_key_and_hint(folder: Path) -> None:
    base = "\ntrain:\n  epoch: 3\n"
    text = """base: b.yaml
clip: {frames: 0}
train:
  optimizer: {name: sdg}
persons: {name: ssd, treshold: 0.5}
modle: {}
"""
    assert faults(folder, text, "train.seed=x", b=base) == [
        "t.yaml:11: clip.frames: Input should be greater than 0, found 0",
        "t.yaml:13: train.optimizer: no 'sdg' is known here, expected one of: adamw, sgd; did you mean 'sgd'?",
        "command line: train.seed: Input should be a valid integer, unable to parse string as an integer, found 'x'",
        "b.yaml:3: train.epoch: unknown setting; did you mean 'epochs'?",
        "t.yaml:14: persons.treshold: unknown setting; did you mean 'threshold'?",
        "t.yaml:15: modle: unknown setting; did you mean 'model'?",
    ]


def test_a_typo_in_a_member_is_compared_with_the_settings_of_that_member(folder: Path) -> None:
    (line,) = faults(folder, "", "model.backbone={name: slowfast, alhpa: 4}")
    assert line == "command line: model.backbone.alhpa: unknown setting; did you mean 'alpha'?"


def test_an_unknown_setting_unlike_any_other_lists_the_known_ones(folder: Path) -> None:
    (line,) = faults(folder, "clip: {quux: 1}\n")
    assert line.startswith("t.yaml:10: clip.quux: unknown setting; known here: frames, stride, clip_fps")


def test_missing_settings_are_told_at_the_mapping_that_lacks_them(folder: Path) -> None:
    (folder / "t.yaml").write_text(WHOLE.replace("  videos: videos\n", "").replace("{truth: val.csv}", "{}"))
    with pytest.raises(ConfigError) as caught:
        load_config("t.yaml", ["data.start=0"])
    assert str(caught.value).splitlines() == [
        "t.yaml:5: data.videos: is missing; it has no default",
        "t.yaml:8: data.val.truth: is missing; it has no default",
    ]


def test_a_setting_of_several_types_is_reported_once(folder: Path) -> None:
    (line,) = faults(folder, "transform: {train_crop: wide}\n")
    assert line.startswith("t.yaml:10: transform.train_crop: ")
    assert "valid integer" in line
    assert "valid tuple" in line
    (line,) = faults(folder, "transform: {train_crop: [100]}\n")
    assert "expected more values, found [100]" in line


@pytest.mark.parametrize("text", ["train: 3", "train:", "train: [1]"])
def test_a_value_where_settings_belong_is_named(folder: Path, text: str) -> None:
    (line,) = faults(folder, text + "\n")
    assert line.startswith("t.yaml:10: train: expected a mapping of settings, found ")


def test_a_family_without_a_name_lists_its_members(folder: Path) -> None:
    (line,) = faults(folder, "train: {optimizer: {momentum: 0.5}}\n")
    assert line == "t.yaml:10: train.optimizer: expected a mapping with a 'name', one of: adamw, sgd"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "train: {epochs: 1, epochs: 2}",
            "t.yaml:10: train.epochs: duplicate key, first defined at t.yaml:10; keep one",
        ),
        ("model: {}", "t.yaml:10: model: duplicate key, first defined at t.yaml:2; keep one"),
        ("train: !!python/object:os.system {}", "t.yaml:10: train: the tag tag:yaml.org,2002:python/object:os.system"),
        ("clip: {frames: [!!python/name:os.system ]}", "t.yaml:10: clip.frames.0: the tag"),
        ("train: !mine {}", "t.yaml:10: train: the tag !mine is refused; a configuration holds plain values"),
        ("train:\n\tepochs: 3", "t.yaml:11: not valid YAML: "),
        ("train: &a {schedule: *a}", "t.yaml:10: train.schedule: holds itself, by an alias"),
        ("train: {<<: {epochs: 3}}", "t.yaml:10: train.<<: unknown setting"),
        ("transform: {train_short_side: [300, 200]}", "train_short_side 300..200 is empty"),
        ("transform: {train_crop: 300}", "a crop of 300 pixels does not fit into a short side of 256"),
        ("base: {a: 1}", "t.yaml:10: base: expected a path or a list of paths, relative to this file"),
        ("base: gone.yaml", "gone.yaml: no such configuration file, named as base in t.yaml"),
    ],
)
def test_faults_of_a_file_are_one_clear_line(folder: Path, text: str, expected: str) -> None:
    (line,) = faults(folder, text + "\n")
    assert expected in line


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("train.epochs", "command line: 'train.epochs' is not a setting; expected key.sub=value"),
        ("=3", "command line: '=3' is not a setting; expected key.sub=value"),
        ("train..epochs=3", "command line: 'train..epochs=3' is not a setting"),
        ("train.base_lr=[", "command line: train.base_lr: '[' is not a YAML value; quote it"),
        ("train.epochs=", "command line: train.epochs: Input should be a valid integer, found None"),
        ("train.epochs.x=3", "command line: train.epochs: Input should be a valid integer"),
        ("train.weights=!!python/object:os.system x", "train.weights: the tag"),
        ("train.schedule={gamma: 1, gamma: 2}", "train.schedule.gamma: duplicate key"),
        ("train.optimizer={name: sgd, nesterov: true, momentum: 0}", "set momentum above 0, or nesterov=false"),
        ("train.optimizer={name: adamw, betas: [1.0, 0.999]}", "train.optimizer.betas"),
        ("model.backbone.name=slowfst", "did you mean 'slowfast'?"),
        ("base=other.yaml", "command line: base: unknown setting"),
        ("task=recognition", "command line: task: "),
    ],
)
def test_faults_of_an_argument_are_one_clear_line(folder: Path, argument: str, expected: str) -> None:
    (line,) = faults(folder, "", argument)
    assert expected in line


def test_a_file_that_is_its_own_base_is_refused(folder: Path) -> None:
    (line,) = faults(folder, "base: b.yaml\n", b="base: t.yaml\n")
    assert line == "t.yaml: is its own base, by way of t.yaml, b.yaml"


def test_what_is_no_text_file_is_refused(folder: Path) -> None:
    (folder / "t.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"t.yaml: not a text file"):
        load_config("t.yaml")
    (folder / "t.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a mapping of settings, found list"):
        load_config("t.yaml")
    (folder / "t.yaml").write_text("")
    with pytest.raises(ConfigError, match="model: is missing"):
        load_config("t.yaml")
    with pytest.raises(ConfigError, match=r"gone.yaml: no such configuration file"):
        load_config("gone.yaml")


def test_settings_cannot_be_changed(folder: Path) -> None:
    config = load(folder)
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 3


# ---------------------------------------------------------------- out again


def test_a_dumped_configuration_reads_back_equal(folder: Path) -> None:
    text = """\
train: {optimizer: {name: adamw, betas: [0.8, 0.9]}, base_lr: 1e-5, schedule: {policy: step, steps: [1.5]}}
transform: {train_crop: [100, 120]}
persons: {name: stored, boxes: "p: #1.pkl"}
"""
    config = load(folder, text)
    dumped = dump_config(config)
    again = parse_config(dumped, source="run/config.yaml")
    assert again == config
    assert isinstance(again.train.optimizer, AdamWConfig)
    assert dump_config(again) == dumped


def test_a_stored_configuration_of_the_days_of_hog_takes_the_default_persons(folder: Path) -> None:
    config = load(folder)
    text = dump_config(config).replace("name: ssd\n  threshold: 0.4", "name: hog\n  threshold: 0.5")
    assert "hog" in text
    assert parse_config(text, source="best.pt (config)") == config


def test_faults_of_a_stored_configuration_name_their_source(folder: Path) -> None:
    text = dump_config(load(folder)).replace("epochs: 20", "epochs: many")
    with pytest.raises(ConfigError, match=r"^run/config.yaml:\d+: train.epochs: "):
        parse_config(text, source="run/config.yaml")


def test_the_json_schema_admits_every_member_of_a_family_and_partial_files() -> None:
    schema = json.loads(json_schema())

    def members(field: dict[str, Any]) -> dict[str, Any]:
        """The members of a family, whether the schema writes them out in place or elsewhere."""
        found = [
            schema["$defs"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each for each in field["anyOf"]
        ]
        return {each["title"]: each["properties"] for each in found}

    data = members(schema["properties"]["data"])
    assert {"AvaConfig", "AvaKineticsConfig"} <= data.keys()
    assert data["AvaConfig"]["videos"]["description"]
    optimizers = members(schema["$defs"]["TrainConfig"]["properties"]["optimizer"])
    assert optimizers["AdamWConfig"]["name"]["const"] == "adamw"
    assert "nesterov" in optimizers["SGDConfig"]
    assert "base" in schema["properties"]
    assert '"required"' not in json_schema()


# ---------------------------------------------------------------- open families


def test_a_class_of_ones_own_joins_by_being_defined(folder: Path) -> None:
    class Mine(BackboneConfig):
        name: Literal["test_mine"] = "test_mine"
        size: int = 3

    config = load(folder, "", "model.backbone={name: test_mine, size: 5}")
    assert config.model.backbone == Mine(size=5)
    assert parse_config(dump_config(config), source="x").model.backbone == Mine(size=5)
    (line,) = faults(folder, "", "model.backbone={name: test_mine, sise: 5}")
    assert line.endswith("did you mean 'size'?")


def test_an_imported_module_brings_its_classes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "my_parts.py").write_text(
        "from typing import Literal\n"
        "from actiondet.config import PersonsConfig\n"
        "class Oracle(PersonsConfig):\n"
        "    name: Literal['test_oracle'] = 'test_oracle'\n"
        "    wisdom: float = 0.5\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    (folder / "t.yaml").write_text(WHOLE + "persons: {name: test_oracle, wisdom: 0.75}\n")
    config = load_config("t.yaml", modules=["my_parts"])
    assert config.persons.model_dump()["wisdom"] == 0.75
    assert type(config.persons).__module__ == "my_parts"
    sys.modules.pop("my_parts")


def test_a_module_that_cannot_be_imported_is_named(folder: Path) -> None:
    load(folder)
    with pytest.raises(ConfigError, match="--import no_such_module: No module named 'no_such_module'"):
        load_config("t.yaml", modules=["no_such_module"])


def test_members_without_a_name_of_their_own_cannot_be_chosen() -> None:
    class Family(Choice):
        """A family."""

    class Abstract(Family):
        """Shared settings of some members."""

    class Leaf(Abstract):
        name: Literal["leaf"] = "leaf"

    class Holder(Settings):
        chosen: Annotated[Family, one_of(Family), SerializeAsAny()]

    def validate(value: Any) -> Holder:
        return Holder.model_validate({"chosen": value})

    assert validate({"name": "leaf"}).chosen == Leaf()
    assert validate(Leaf()).chosen == Leaf()
    with pytest.raises(ValueError, match="expected one of: leaf"):
        validate({"name": "abstract"})


@pytest.mark.parametrize(
    ("backbone", "frames", "fault"),
    [
        ("vit", 8, "clips of 8 frames, but the positions of this network are made for 16"),
        ("slowfast", 6, "clips of 6 frames: expected a multiple of model.backbone.alpha, 4"),
    ],
)
def test_clips_of_a_length_that_the_network_cannot_take_are_refused(
    folder: Path, backbone: str, frames: int, fault: str
) -> None:
    (said,) = faults(folder, "", f"model.backbone={{name: {backbone}}}", f"clip.frames={frames}")
    assert fault in said


def test_multigrid_refuses_a_network_whose_clips_have_one_length() -> None:
    with pytest.raises(ConfigError, match=r"multigrid begins with a quarter of clip\.frames: clips of 4 frames, but"):
        load_recognition_config("toy/recognition_multigrid", ["model.backbone={name: vit}", "clip.frames=16"])


@pytest.mark.parametrize("sides", ["[]", "[256, 224, 256]"])
def test_short_sides_of_a_test_differ(folder: Path, sides: str) -> None:
    (said,) = faults(folder, "", f"test.short_sides={sides}")
    assert "expected one or more, each of them once, or null" in said


@pytest.mark.parametrize("name", ["own/slowonly", "own/slowfast"])
def test_examples_in_the_comments_of_the_own_data_configurations_are_settings(name: str) -> None:
    text = find_config(name).read_text()
    keys: list[str] = []
    seen = []
    for line in text.splitlines():
        if setting := re.match(r"^( *)(\w+):", line):
            keys = [*keys[: len(setting[1]) // 2], setting[2]]
        if example := re.search(r"# (\[[^\]]*\]|\{[^}]*\}|[\d.]+|balanced): ", line):
            seen.append(".".join(keys))
            more = ["model.num_actions=2"] if keys[-1] == "classes" else []
            before = dump_config(load_config(name, more))
            assert dump_config(load_config(name, [f"{seen[-1]}={example[1]}", *more])) != before, line
    assert {
        "data.classes",
        "data.merge_classes",
        "transform.color_jitter",
        "transform.rand_augment",
        "train.freeze",
        "train.repeat_threshold",
        "train.loss.focal_gamma",
        "train.loss.class_weight",
        "train.optimizer.part_rates",
    } <= set(seen)

"""From settings to networks: the only room here that knows configurations.

A backbone or head of one's own is a class derived from `BackboneConfig` or `HeadConfig`, and a builder registered
for it: `@build_backbone.register`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch

from actiondet.config.networks import (
    AcarHeadConfig,
    AcrnHeadConfig,
    BackboneConfig,
    BankConfig,
    DetectorConfig,
    HeadConfig,
    MViTConfig,
    NonLocalConfig,
    RecognizerConfig,
    RoIHeadConfig,
    SlowFastConfig,
    SlowOnlyConfig,
    VitConfig,
)
from actiondet.models.backbones.mvit import MViT
from actiondet.models.backbones.vit import Vit
from actiondet.models.blocks import Backbone
from actiondet.models.detector import ActionDetector
from actiondet.models.heads.acar import AcarHead
from actiondet.models.heads.acrn import AcrnHead
from actiondet.models.heads.bank import BankAttention, BankOperator, BankPool
from actiondet.models.heads.person import PersonHead
from actiondet.models.heads.recognition import RecognitionHead
from actiondet.models.heads.roi import RoIHead
from actiondet.models.heads.track import TrackHead
from actiondet.models.nonlocal_block import NonLocalSpec
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.slowfast import SlowFast
from actiondet.models.slowonly import SlowOnly
from evaluation.errors import InputError


def build_detector(config: DetectorConfig) -> ActionDetector:
    """The detector that `config` describes, freshly initialized.

    Raises:
        InputError: settings that do not go together.

    Example:
        >>> model = actiondet.build_detector(actiondet.load_config("toy/slowfast_r18").model).eval()
        >>> clips, boxes = torch.rand(1, 3, 32, 64, 64), [torch.tensor([[4.0, 4.0, 40.0, 40.0]])]
        >>> model(clips, boxes).shape  # logits of each person
        torch.Size([1, 14])
    """
    with _faults_of_settings():
        backbone = build_backbone(config.backbone)
        head = build_head(config.head, backbone, config.num_actions)
        return ActionDetector(backbone, head, mean=config.mean, std=config.std, multi_label=config.multi_label)


def build_recognizer(config: RecognizerConfig) -> ActionRecognizer:
    """The recognizer that `config` describes, freshly initialized.

    Raises:
        InputError: settings that do not go together.

    Example:
        >>> config = actiondet.load_recognition_config("toy/recognition_slowonly")
        >>> model = actiondet.build_recognizer(config.model)
    """
    with _faults_of_settings():
        backbone = build_backbone(config.backbone)
        if backbone.summarize() and config.window is not None:
            raise ValueError(
                f"backbone '{config.backbone.name}' scores whole clips; window is {config.window}, set null"
            )
        head = RecognitionHead(
            channels=backbone.channels,
            num_classes=config.num_classes,
            window=config.window,
            average_positions=config.average_positions,
            dropout=config.dropout,
            bias=config.bias,
        )
        return ActionRecognizer(backbone, head, mean=config.mean, std=config.std)


@contextmanager
def _faults_of_settings() -> Iterator[None]:
    """Turn the ValueErrors of constructors into InputErrors."""
    try:
        yield
    except ValueError as fault:
        raise InputError(f"the settings of the model do not go together: {fault}") from fault


@singledispatch
def build_backbone(config: BackboneConfig) -> Backbone:
    """The backbone that `config` describes; open to other classes through `build_backbone.register`."""
    raise TypeError(f"no builder for the backbone settings {type(config).__name__}; register one with build_backbone")


@singledispatch
def build_head(config: HeadConfig, backbone: Backbone, num_actions: int) -> PersonHead:
    """The head that `config` describes, for the maps of `backbone`; open through `build_head.register`."""
    raise TypeError(f"no builder for the head settings {type(config).__name__}; register one with build_head")


@build_backbone.register
def _(config: SlowOnlyConfig) -> Backbone:
    return SlowOnly(**config.arguments() | {"nonlocal_blocks": _nonlocal_spec(config.nonlocal_blocks)})


@build_backbone.register
def _(config: SlowFastConfig) -> Backbone:
    return SlowFast(**config.arguments() | {"nonlocal_blocks": _nonlocal_spec(config.nonlocal_blocks)})


@build_backbone.register
def _(config: MViTConfig) -> Backbone:
    return MViT(**config.arguments())


@build_backbone.register
def _(config: VitConfig) -> Backbone:
    return Vit(**config.arguments())


@build_head.register
def _(config: RoIHeadConfig, backbone: Backbone, num_actions: int) -> PersonHead:
    settings = config.arguments() | {"channels": backbone.channels, "stride": backbone.stride}
    of_tracks = {name: settings.pop(name) for name in ("track_head", "conv_channels")}
    if config.bank is not None:
        channels = sum(backbone.channels) * (2 if config.context else 1)
        settings["bank"] = _bank_operator(
            config.bank, config.conv_channels if config.track_head == "conv" else channels
        )
    if settings.pop("roi") == "static":
        return RoIHead(num_actions=num_actions, **settings)
    return TrackHead(num_actions=num_actions, spread_frames=backbone.spread_frames, **settings, **of_tracks)


@build_head.register
def _(config: AcrnHeadConfig, backbone: Backbone, num_actions: int) -> PersonHead:
    settings = config.arguments()
    return AcrnHead(channels=backbone.channels, stride=backbone.stride, num_actions=num_actions, **settings)


@build_head.register
def _(config: AcarHeadConfig, backbone: Backbone, num_actions: int) -> PersonHead:
    settings = config.arguments()
    return AcarHead(channels=backbone.channels, stride=backbone.stride, num_actions=num_actions, **settings)


def _bank_operator(config: BankConfig, channels: int) -> BankOperator:
    """What looks into a memory, for persons of so many channels."""
    if config.operator != "nonlocal":
        return BankPool(channels=config.channels, operator=config.operator, mask_empty=config.mask_empty)
    return BankAttention(
        channels=channels,
        bank_channels=config.channels,
        latent=config.latent,
        layers=config.layers,
        dropout=config.dropout,
        pre_activate=config.pre_activate,
        mask_empty=config.mask_empty,
        zero_init=config.zero_init,
    )


def _nonlocal_spec(config: NonLocalConfig | None) -> NonLocalSpec | None:
    return None if config is None else NonLocalSpec(**config.arguments())

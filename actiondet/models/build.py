"""From settings to networks: the only room here that knows configurations.

A backbone or head of one's own is a class derived from `BackboneConfig` or `HeadConfig`, and a builder registered
for it: `@build_backbone.register`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial, singledispatch

from actiondet.config.networks import (
    BackboneConfig,
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
from actiondet.models.heads import PersonHead, RecognitionHead, RoIHead
from actiondet.models.nonlocal_block import NonLocalSpec
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.slowfast import SlowFast
from actiondet.models.slowonly import SlowOnly
from actiondet.models.track_head import TrackHead
from evaluation.errors import InputError


def build_detector(config: DetectorConfig) -> ActionDetector:
    """The detector that `config` describes, freshly initialised.

    Raises:
        InputError: settings that do not go together.
    """
    with _told_as_settings():
        backbone = build_backbone(config.backbone)
        head = build_head(config.head, backbone.channels, stride=backbone.stride, num_actions=config.num_actions)
        if isinstance(head, TrackHead):
            head.spread_frames = backbone.spread_frames
        return ActionDetector(backbone, head, mean=config.mean, std=config.std, multi_label=config.multi_label)


def build_recognizer(config: RecognizerConfig) -> ActionRecognizer:
    """The recogniser that `config` describes, freshly initialised.

    Raises:
        InputError: settings that do not go together.
    """
    with _told_as_settings():
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
def _told_as_settings() -> Iterator[None]:
    """A network refuses what it cannot be; here that is the user's to mend."""
    try:
        yield
    except ValueError as fault:
        raise InputError(f"the settings of the model do not go together: {fault}") from fault


@singledispatch
def build_backbone(config: BackboneConfig) -> Backbone:
    """The backbone that `config` describes; open to other classes through `build_backbone.register`."""
    raise TypeError(f"no builder for the backbone settings {type(config).__name__}; register one with build_backbone")


@singledispatch
def build_head(config: HeadConfig, channels: Sequence[int], *, stride: int, num_actions: int) -> PersonHead:
    """The head that `config` describes, for maps of these channels; open through `build_head.register`."""
    raise TypeError(f"no builder for the head settings {type(config).__name__}; register one with build_head")


@build_backbone.register
def _(config: SlowOnlyConfig) -> Backbone:
    return SlowOnly(
        depth=config.depth,
        width=config.width,
        in_channels=config.in_channels,
        temporal_blocks=config.temporal_blocks,
        res5_stride=config.res5_stride,
        res5_dilation=config.res5_dilation,
        nonlocal_blocks=_nonlocal_spec(config.nonlocal_blocks),
        zero_init_residual=config.zero_init_residual,
    )


@build_backbone.register
def _(config: SlowFastConfig) -> Backbone:
    return SlowFast(
        depth=config.depth,
        fast_depth=config.fast_depth,
        width=config.width,
        beta_inv=config.beta_inv,
        alpha=config.alpha,
        slow_frames=config.slow_frames,
        fusion_kernel=config.fusion_kernel,
        fusion_ratio=config.fusion_ratio,
        lateral_norm=config.lateral_norm,
        temporal_blocks=config.temporal_blocks,
        fast_temporal_blocks=config.fast_temporal_blocks,
        res5_stride=config.res5_stride,
        res5_dilation=config.res5_dilation,
        nonlocal_blocks=_nonlocal_spec(config.nonlocal_blocks),
        zero_init_residual=config.zero_init_residual,
    )


@build_backbone.register
def _(config: MViTConfig) -> Backbone:
    return MViT(**{name: value for name, value in config if name != "name"})


@build_backbone.register
def _(config: VitConfig) -> Backbone:
    return Vit(**{name: value for name, value in config if name != "name"})


@build_head.register
def _(config: RoIHeadConfig, channels: Sequence[int], *, stride: int, num_actions: int) -> PersonHead:
    track = partial(TrackHead, track_head=config.track_head, conv_channels=config.conv_channels)
    static = partial(RoIHead, box_margin=config.box_margin)
    return (track if config.roi == "track" else static)(
        channels=channels,
        num_actions=num_actions,
        stride=stride,
        roi_size=config.roi_size,
        aligned=config.aligned,
        sampling_ratio=config.sampling_ratio,
        temporal_pool=config.temporal_pool,
        context=config.context,
        classifier=config.classifier,
        dropout=config.dropout,
        dropout_at=config.dropout_at,
    )


def _nonlocal_spec(config: NonLocalConfig | None) -> NonLocalSpec | None:
    if config is None:
        return None
    return NonLocalSpec(after=config.after, attention=config.attention, pool=config.pool, pool_first=config.pool_first)

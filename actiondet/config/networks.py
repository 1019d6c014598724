"""Settings of the networks: backbones, heads, and what surrounds them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, SerializeAsAny, model_validator

from actiondet.config.choice import Choice, Settings, one_of

Depth = Literal[18, 50, 101]
Triple = tuple[float, float, float]
Share = Annotated[float, Field(ge=0, lt=1)]
BlocksPerStage = tuple[int, int, int, int]


class NonLocalConfig(Settings):
    """Non-local blocks (Wang et al. 2018) in the slow pathway."""

    after: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]] = ((), (0, 2), (0, 2, 4), ())
    """Indices of the residual blocks of res2, res3, res4, res5 that a non-local block follows."""
    attention: Literal["softmax", "dot_product"] = "softmax"
    pool: tuple[PositiveInt, PositiveInt, PositiveInt] | None = (1, 2, 2)
    """Max-pooling of keys and values over (time, height, width); null for none."""
    pool_first: bool = False
    """Pool before the projections to keys and values (PySlowFast), or after them (MMAction2)."""


class BackboneConfig(Choice):
    """Open family: the network that turns clips into feature maps."""


class SlowOnlyConfig(BackboneConfig):
    """The slow pathway alone."""

    name: Literal["slowonly"] = "slowonly"
    depth: Depth = 50
    width: PositiveInt = 64
    """Channels of the stem; 64 is the published width."""
    in_channels: PositiveInt = 3
    temporal_blocks: BlocksPerStage | None = None
    """How many first blocks of each stage convolve over time; null: all of res4 and res5."""
    res5_stride: Literal[1, 2] = 1
    """Spatial stride of res5: 1 for detection (features at 1/16), 2 for recognition (1/32)."""
    res5_dilation: Literal[1, 2] = 1
    """2 as PySlowFast's detectors are trained, 1 as MMAction2's."""
    nonlocal_blocks: NonLocalConfig | None = None
    zero_init_residual: bool = True
    """Every residual block begins as the identity (its last norm scales by zero), as in the published recipes. Small
    networks that are trained for few epochs learn sooner without."""


class SlowFastConfig(BackboneConfig):
    """Two pathways: few frames and many channels, many frames and few channels."""

    name: Literal["slowfast"] = "slowfast"
    depth: Depth = 50
    fast_depth: Depth | None = None
    """null: as `depth`."""
    width: PositiveInt = 64
    """Channels of the slow stem."""
    alpha: PositiveInt = 4
    """The slow pathway sees every alpha-th frame."""
    beta_inv: PositiveInt = 8
    """The fast pathway has width / beta_inv channels."""
    fusion_ratio: PositiveInt = 2
    """Channels of a lateral connection per channel of the fast pathway."""
    fusion_kernel: Literal[5, 7] = 7
    """Frames that a lateral convolution spans."""
    lateral_norm: bool = True
    """Batch norm and ReLU after the lateral convolutions: yes in PySlowFast, mostly no in MMAction2."""
    slow_frames: Literal["strided", "spread"] = "strided"
    """strided: frames 0, alpha, 2 alpha, ... (MMAction2); spread: evenly from first to last (PySlowFast)."""
    temporal_blocks: BlocksPerStage | None = None
    """Of the slow pathway; null: all of res4 and res5."""
    fast_temporal_blocks: BlocksPerStage | None = None
    """Of the fast pathway; null: every block. (3, 4, 6, 3) in PySlowFast's R101."""
    res5_stride: Literal[1, 2] = 1
    res5_dilation: Literal[1, 2] = 1
    nonlocal_blocks: NonLocalConfig | None = None
    zero_init_residual: bool = True
    """Every residual block begins as the identity (its last norm scales by zero), as in the published recipes. Small
    networks that are trained for few epochs learn sooner without."""

    @model_validator(mode="after")
    def _check_width(self) -> SlowFastConfig:
        if self.width % self.beta_inv:
            raise ValueError(f"width {self.width} is not a multiple of beta_inv {self.beta_inv}")
        return self


class HeadConfig(Choice):
    """Open family: what scores the actions of each person."""

    @property
    def follows_tracks(self) -> bool:
        """Whether the head wants a box of each person for every frame of the clip, instead of one for all."""
        return False


class RoIHeadConfig(HeadConfig):
    """RoIAlign on the temporally pooled maps, spatial max, classifier."""

    name: Literal["roi"] = "roi"
    roi: Literal["static", "track"] = "static"
    """static: one box for the whole clip, that of its key moment; track: each frame's own box, which follows the
    person from the key moment before to the one after."""
    track_head: Literal["pool", "conv"] = "pool"
    """track: pool what the boxes show over time, or let two convolutions look over time first."""
    conv_channels: PositiveInt = 256
    """Width of these convolutions."""
    roi_size: PositiveInt = 8
    """Cells a side: 8 in MMAction2 and PaddleVideo, 7 in PySlowFast and pytorchvideo."""
    aligned: bool = True
    """Half-pixel correction of RoIAlign; false for the Caffe2 and pytorchvideo checkpoints."""
    sampling_ratio: NonNegativeInt = 0
    """Sampling points a cell and side; 0 adapts them to the size of the box."""
    temporal_pool: Literal["avg", "max"] = "avg"
    context: bool = False
    """Concatenate the map of the whole frame, pooled to the same cells."""
    classifier: Literal["linear", "mlp"] = "linear"
    dropout: Share = 0.5
    dropout_at: Literal["cells", "vector"] = "cells"
    """cells: before the spatial max (MMAction2, PaddleVideo); vector: after it (PySlowFast)."""

    @property
    def follows_tracks(self) -> bool:
        """As in the base class."""
        return self.roi == "track"

    @model_validator(mode="after")
    def _check_track_head(self) -> RoIHeadConfig:
        if self.track_head != "pool" and self.roi != "track":
            raise ValueError(f"track_head '{self.track_head}' belongs to roi 'track'; set it too")
        return self


class _NetworkConfig(Settings):
    backbone: Annotated[BackboneConfig, one_of(BackboneConfig), SerializeAsAny()]
    mean: Triple | tuple[float, float] = (123.675, 116.28, 103.53)
    """Subtracted from the 0..255 RGB input."""
    std: Triple | tuple[float, float] = (58.395, 57.12, 57.375)
    """Then divided by."""


class DetectorConfig(_NetworkConfig):
    """A network that scores the actions of given persons."""

    head: Annotated[HeadConfig, one_of(HeadConfig), SerializeAsAny()] = RoIHeadConfig()
    num_actions: PositiveInt = 80
    """Columns of the output. On AVA-format sets the largest id of the action list: column c is id c + 1."""
    multi_label: bool = True
    """true: a person does any number of actions (sigmoid); false: exactly one (softmax)."""


class RecognizerConfig(_NetworkConfig):
    """A network that names what a whole clip shows."""

    num_classes: PositiveInt = 400
    dropout: Share = 0.5
    bias: bool = True
    """Of the classifier."""
    window: PositiveInt | None = None
    """Cells a side that are averaged for one prediction (7 in PySlowFast and pytorchvideo: a crop of 256 pixels then
    gives four); null averages over the whole map."""
    average_positions: Literal["softmax", "logits"] = "logits"
    """How several predictions of a clip become one: PySlowFast softmax first, pytorchvideo logits."""

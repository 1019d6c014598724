"""Settings of the networks: backbones, heads, and what surrounds them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    model_validator,
)

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

    def check_clip(self, frames: int) -> None:
        """Refuse clips of a length that the network cannot take; here every length is fine.

        Raises:
            ValueError: such a length.
        """


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

    def check_clip(self, frames: int) -> None:
        """The slow pathway sees a whole number of frames."""
        if frames % self.alpha:
            raise ValueError(f"clips of {frames} frames: expected a multiple of model.backbone.alpha, {self.alpha}")


class MViTConfig(BackboneConfig):
    """A transformer whose attention pools its tokens, stage by stage; the defaults are those of MViTv2-S."""

    name: Literal["mvit"] = "mvit"
    depth: PositiveInt = 16
    """Blocks: 16 in S, 24 in B, 48 in L."""
    width: PositiveInt = 96
    """Channels of the patches; 144 in L."""
    heads: PositiveInt = 1
    """Of the first stage; 2 in L."""
    in_channels: PositiveInt = 3
    mlp_ratio: PositiveFloat = 4.0
    """Hidden channels of the MLPs per channel of the attention."""
    frames: PositiveInt = 16
    """Length of the clips that the position tables are made for; other clips resize them."""
    image: PositiveInt = 224
    """Side of the pictures that the position tables are made for, in pixels; other pictures resize them."""
    widen_at: tuple[NonNegativeInt, ...] = (1, 3, 14)
    """Blocks at which channels and heads double; [2, 5, 21] in B, [2, 8, 44] in L."""
    pool_at: tuple[NonNegativeInt, ...] = (1, 3, 14)
    """Blocks that halve height and width, in the published networks the same ones."""
    kv_stride: PositiveInt = 8
    """Pooling of keys and values in the first stage; each block of `pool_at` halves it."""
    pool_kernel: PositiveInt | None = 3
    """Side of the pooling convolutions; null takes single frames and stride + 1 pixels."""
    pool_every_query: bool = True
    """A convolution for the queries of every block (version 2), or where they are strided alone (version 1)."""
    pool_first: bool = False
    """Pool before the projections to queries, keys and values (MeMViT)."""
    separate_qkv: bool = False
    """Three layers for queries, keys and values instead of one."""
    widen_in: Literal["attention", "mlp"] = "attention"
    """attention: of the block itself (version 2); mlp: of the block before it (version 1)."""
    residual_pooling: bool = True
    """Add the pooled queries to what attention returns (version 2)."""
    relative_positions: Literal["space_time", "space", "none"] = "space_time"
    """space_time in version 2, none in version 1."""
    absolute_positions: Literal["separate", "joint", "none"] = "none"
    """none in version 2; separate, for space and time, in version 1."""
    class_token: bool = True
    """A token beside the patches. Recognizers classify it, detectors leave it out."""
    norm_stem: bool = False
    """Normalize the patches before the first block."""
    drop_path: Share = 0.2
    """Share of the samples for which the last block is skipped in training; it rises linearly from 0 at the first."""
    initialization: Literal["truncated_normal", "xavier"] = "truncated_normal"
    """How a training from scratch begins: as published (deviation 0.02), or with Xavier's larger weights, without which
    narrow networks that are trained for few epochs hardly learn."""

    @model_validator(mode="after")
    def _check_stages(self) -> MViTConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        for name in ("widen_at", "pool_at"):
            blocks = getattr(self, name)
            if list(blocks) != sorted({block for block in blocks if block < self.depth}):
                raise ValueError(
                    f"{name} {list(blocks)}: expected rising indices below depth {self.depth}, each of them once"
                )
        if self.widen_in == "mlp" and 0 in self.widen_at:
            raise ValueError("widen_at names block 0, and widen_in 'mlp' needs a block before it; begin at 1")
        if self.frames < 2 or self.image < 4:
            raise ValueError(f"frames {self.frames}, image {self.image}: expected at least 2 and 4, one patch")
        if self.pool_kernel is not None and self.pool_kernel % 2 == 0:
            raise ValueError(f"pool_kernel {self.pool_kernel} is even; expected an odd side, or null")
        return self


class VitConfig(BackboneConfig):
    """The plain transformer of VideoMAE, VideoMAE V2, MVD and UMT; the defaults are those of VideoMAE-B."""

    name: Literal["vit"] = "vit"
    depth: PositiveInt = 12
    """Blocks: 12 in S and B, 24 in L, 32 in H, 40 in g."""
    width: PositiveInt = 768
    """Channels: 384 in S, 768 in B, 1024 in L, 1280 in H, 1408 in g."""
    heads: PositiveInt = 12
    """6 in S, 12 in B, 16 in the larger ones."""
    in_channels: PositiveInt = 3
    mlp_ratio: PositiveFloat = 4.0
    """Hidden channels of the MLPs per channel."""
    patch: PositiveInt = 16
    """Side of a patch in pixels; 14 in g."""
    tubelet: PositiveInt = 2
    """Frames of a patch: 2 in VideoMAE, 1 in UMT."""
    frames: PositiveInt = 16
    """Length of the clips; clip.frames must be the same."""
    image: PositiveInt = 224
    """Side of the pictures that the table of positions is made for, in pixels; other pictures resize it."""
    layer_scale: PositiveFloat | None = None
    """Initial factor of each channel behind attention and MLP; null: no such factors, as in the published networks."""
    drop_path: Share = 0.2
    """Share of the samples for which the last block is skipped in training; it rises linearly from 0 at the first."""
    remainder: Literal["drop", "pad"] = "drop"
    """Pixels beyond the last whole patch: drop them (MMAction2), or pad with the mean color (the other toolkits)."""
    checkpointing: bool = False
    """Recompute each block in the backward pass: much less memory, a third more time."""

    @model_validator(mode="after")
    def _check_sizes(self) -> VitConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.frames % self.tubelet or self.image % self.patch:
            raise ValueError(
                f"frames {self.frames} and image {self.image} are not multiples of tubelet {self.tubelet} and patch "
                f"{self.patch}"
            )
        return self

    def check_clip(self, frames: int) -> None:
        """The table of positions is not resized over time."""
        if frames != self.frames:
            raise ValueError(
                f"clips of {frames} frames, but the positions of this network are made for {self.frames}; make "
                "clip.frames and model.backbone.frames equal"
            )


class HeadConfig(Choice):
    """Open family: what scores the actions of each person."""

    def check_actions(self, num_actions: int, *, multi_label: bool) -> None:
        """Refuse actions that the head cannot score; here all are fine.

        Raises:
            ValueError: such actions.
        """

    def check_choice(self) -> None:
        """Refuse to score a choice of the actions (data.classes, data.merge_classes); here every choice is fine.

        Raises:
            ValueError: what the head knows of its columns does not hold for a choice.
        """


class BankConfig(Settings):
    """What a network remembers of the time around a clip: persons whose features `actiondet build-bank` has kept."""

    channels: PositiveInt
    """Numbers that the bank keeps of a person: 2048 of a SlowOnly R50, 2304 of a SlowFast R50."""
    window: PositiveInt = 60
    """Seconds."""
    reach: Literal["both", "past"] = "both"
    """both: the key frame is in the middle of the window; past: the window ends with the key frame, so that nothing
    has to be waited for in a live video."""
    persons: PositiveInt = 5
    """Of each second: at most so many, in testing those with the best scores, in training random ones."""
    operator: Literal["nonlocal", "max", "avg"] = "nonlocal"
    """nonlocal: each person attends to all that is remembered; max, avg: the largest or the mean value of each
    channel."""
    layers: Annotated[int, Field(ge=1, le=3)] = 2
    """nonlocal: of attention."""
    latent: PositiveInt = 512
    """nonlocal: channels of these layers."""
    dropout: Share = 0.2
    """nonlocal: share of the values that these layers drop in training."""
    pre_activate: bool = True
    """nonlocal: normalize and rectify before a layer's last projection, as published; false: behind it."""
    mask_empty: bool = True
    """Leave empty slots out. false: they count as zeros, as in the published networks, which need it."""
    zero_init: bool = True
    """nonlocal: layers begin by adding nothing, as the authors' do; false: at random, as MMAction2's."""


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
    box_margin: tuple[NonNegativeFloat, NonNegativeFloat] | None = None
    """At test, widen and heighten boxes by these shares of their sides, half on each side ([0.1, 0.05]: detectors of
    VideoMAE's and UMT's authors)."""
    context: bool = False
    """Concatenate the map of the whole frame, pooled to the same cells."""
    classifier: Literal["linear", "mlp"] = "linear"
    dropout: Share = 0.5
    dropout_at: Literal["cells", "vector"] = "cells"
    """cells: before the spatial max (MMAction2, PaddleVideo); vector: after it (PySlowFast, and with a bank)."""
    bank: BankConfig | None = None
    """Long-term memory from a feature bank; null: none."""

    @model_validator(mode="after")
    def _check_bank(self) -> RoIHeadConfig:
        if self.bank is not None and self.dropout_at == "cells" and self.dropout > 0:
            raise ValueError(
                "dropout_at 'cells' leaves what is remembered as it is; with a bank set dropout_at: vector"
            )
        return self

    @model_validator(mode="after")
    def _check_track_head(self) -> RoIHeadConfig:
        if self.track_head != "pool" and self.roi != "track":
            raise ValueError(f"track_head '{self.track_head}' belongs to roi 'track'; set it too")
        if self.box_margin is not None and self.roi == "track":
            raise ValueError("box_margin is for static boxes; set roi: static, or box_margin: null")
        return self


class AcrnHeadConfig(HeadConfig):
    """Each person beside every place of the picture (actor-centric relations)."""

    name: Literal["acrn"] = "acrn"
    relation_channels: PositiveInt | None = None
    """Width of the convolutions; null: that of the backbone's maps, as published."""
    num_convs: PositiveInt = 1
    """Convolutions over 3x3 cells behind the one that joins person and map."""
    conv_stride: Literal[1, 2] = 1
    """Of the first of them."""
    roi_size: PositiveInt = 8
    """Cells a side of a person's own map."""
    aligned: bool = True
    """Half-pixel correction of RoIAlign."""
    sampling_ratio: NonNegativeInt = 0
    """Sampling points a cell and side; 0 adapts them to the size of the box."""
    temporal_pool: Literal["avg", "max"] = "avg"
    dropout: Share = 0.5
    """Share of the cells that is dropped in training."""


class AcarHeadConfig(HeadConfig):
    """Each person beside every place of the picture, and persons of a clip that attend to each other."""

    name: Literal["acar"] = "acar"
    layers: NonNegativeInt = 2
    """How often the persons attend to each other: 2 in the published R50, 1 in R101."""
    output_kernel: Literal[1, 3] = 3
    """Side of the convolution behind the attention: 3 in the published R50, 1 in R101."""
    reduced_channels: PositiveInt = 1024
    """Channels that the backbone's maps are reduced to."""
    relation_channels: PositiveInt = 512
    """Width of the relations."""
    halved: bool = True
    """Halve the map of each person before the attention."""
    roi_size: PositiveInt = 7
    """Cells a side of a person's own map."""
    aligned: bool = False
    """Half-pixel correction of RoIAlign."""
    sampling_ratio: NonNegativeInt = 0
    """Sampling points a cell and side; 0 adapts them to the size of the box."""
    dropout: Share = 0.2
    """Share of what the attention adds that is dropped in training."""
    bias: bool = True
    """Of the classifier."""
    exclusive_actions: NonNegativeInt = 0
    """A person does exactly one of the first so many actions: their scores are a softmax, those of all others sigmoids
    (14 on AVA, whose first actions are poses). 0: every action by itself."""

    def check_actions(self, num_actions: int, *, multi_label: bool) -> None:
        """Exclusive actions are some of several."""
        count = self.exclusive_actions
        if count == 1 or count > num_actions:
            raise ValueError(
                f"head.exclusive_actions {count}: expected 0, or a number from 2 to num_actions, {num_actions}"
            )
        if count and not multi_label:
            raise ValueError(
                f"head.exclusive_actions {count}, but multi_label: false already makes all actions exclusive; set it "
                "to 0"
            )

    def check_choice(self) -> None:
        """The first of chosen actions are others."""
        if self.exclusive_actions:
            raise ValueError(
                f"model.head.exclusive_actions {self.exclusive_actions} counts the first actions of the whole list, "
                "and data.classes or data.merge_classes choose others; set it to 0"
            )


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
    """Columns of the output. On AVA-format sets the largest id of the action list: column c is id c + 1. With
    `data.classes` or `data.merge_classes`: how many actions there are then."""
    multi_label: bool = True
    """true: a person does any number of actions (sigmoid); false: exactly one (softmax)."""

    @property
    def bank(self) -> BankConfig | None:
        """What the head remembers; None for a head without a feature bank."""
        return self.head.bank if isinstance(self.head, RoIHeadConfig) else None

    @model_validator(mode="after")
    def _check_actions(self) -> DetectorConfig:
        self.head.check_actions(self.num_actions, multi_label=self.multi_label)
        return self


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

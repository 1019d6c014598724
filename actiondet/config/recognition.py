"""Every knob of a recognition run that a detection run does not share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, SerializeAsAny, model_validator

from actiondet.config.choice import Choice, Settings, one_of
from actiondet.config.data_sets import FrameFolderConfig, UnitFloat
from actiondet.config.networks import RecognizerConfig, Share, SlowFastConfig, SlowOnlyConfig
from actiondet.config.schema import PublishedConfig, TrainConfig

Sampling = Literal["mmaction2", "pyslowfast", "uniform"]


class VideoClipConfig(Settings):
    """Which frames of a video make a clip."""

    frames: PositiveInt = 8
    stride: PositiveInt = 8
    """Distance of two frames; "uniform" spreads them over the whole video and has none."""
    sampling: Sampling = "mmaction2"
    """mmaction2: every `stride`-th frame of the file, short videos begin again; pyslowfast: frames of a span of
    frames * stride / `target_fps` seconds, short videos stand still at their end; uniform: one frame of each of so
    many equal parts of the video."""
    target_fps: PositiveFloat = 30.0
    """pyslowfast: the rate whose frames the stride counts."""
    train_strides: tuple[PositiveInt, PositiveInt] | None = None
    """Training draws the stride of each clip from this range, both ends included; null takes `stride`."""

    @model_validator(mode="after")
    def _check_strides(self) -> VideoClipConfig:
        if self.train_strides is not None and self.train_strides[0] > self.train_strides[1]:
            low, high = self.train_strides
            raise ValueError(f"train_strides {low}..{high} is empty; expected the smaller number first")
        if self.train_strides is not None and self.sampling == "uniform":
            raise ValueError("sampling uniform takes a frame of each part of the video; set train_strides=null")
        return self


class VideoTransformConfig(Settings):
    """Sizes in pixels. Resizing is bilinear without antialias, as the published weights expect."""

    train_short_side: tuple[PositiveInt, PositiveInt] = (256, 256)
    """The short side is drawn from this range, both ends included, before the crop."""
    crop: Literal["random_resized", "random", "corner"] = "random_resized"
    """random_resized: a window of random area and shape, resized (MMAction2); random: a window of `train_crop`
    anywhere (PySlowFast's jitter); corner: a square at a corner or the center, resized."""
    train_crop: PositiveInt = 224
    """Side of a training clip."""
    area: tuple[UnitFloat, UnitFloat] = (0.08, 1.0)
    """random_resized: share of the frame's area."""
    aspect: tuple[PositiveFloat, PositiveFloat] = (0.75, 1.3333333333333333)
    """random_resized: width over height."""
    scale: tuple[UnitFloat, UnitFloat] = (0.66, 1.0)
    """corner: side of the square as a share of the short side."""
    flip: UnitFloat = 0.5
    """Probability of a mirror image; set 0 where actions know left and right."""
    per_frame: bool = False
    """Scale, crop and mirror every frame of a training clip on its own, instead of all alike."""
    on_device: bool = False
    """In training, resize, crop and mirror frames on the device of the network instead of in the loading workers, where
    these have too little time; with the same arithmetic. Frames then travel whole, as decoded."""
    repeats: PositiveInt = 1
    """Clips that each video of a training batch gives (repeated augmentation, Hoffer et al. 2020): the same frames,
    resized, cropped and mirrored for each. A batch then has so many times the clips; its videos are read once."""
    test_short_side: PositiveInt = 256
    val_crop: PositiveInt = 224
    """Side of the center crop when validating."""

    @model_validator(mode="after")
    def _check_sizes(self) -> VideoTransformConfig:
        for name in ("train_short_side", "area", "aspect", "scale"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} {low}..{high} is empty; expected the smaller number first")
        if self.on_device and self.per_frame:
            raise ValueError("frames that change each on its own (per_frame) cannot change on_device; set one to false")
        if self.crop == "random" and self.train_crop > self.train_short_side[0]:
            raise ValueError(
                f"a crop of {self.train_crop} pixels does not fit into a short side of {self.train_short_side[0]}"
            )
        if self.val_crop > self.test_short_side:
            raise ValueError(f"val_crop {self.val_crop} does not fit into test_short_side {self.test_short_side}")
        return self


class VideoTestConfig(Settings):
    """Testing; validation takes one clip and one crop of each video."""

    clips: PositiveInt = 10
    """Clips of each video, spread over its length; 1 takes the middle."""
    crops: Literal[1, 3] = 3
    """1: the center; 3: both ends and the middle of the longer side."""
    crop: PositiveInt = 256
    """Side of a test crop in pixels."""
    average: Literal["softmax", "sum", "logits"] = "softmax"
    """What becomes of the views of a video: the mean of their probabilities (MMAction2), the sum of these (PySlowFast,
    PaddleVideo; the same order), or the mean of their logits."""
    batch: PositiveInt = 8
    """Clips (each with its crops) a process and step."""


class VideoDataConfig(Choice):
    """Open family: data sets of videos that show one action each."""

    videos: str
    """Folder of the video files, or of one folder of pictures for each video (see `pictures`)."""
    pictures: FrameFolderConfig | None = None
    """null reads video files."""
    reader: Literal["auto", "decord", "pyav"] = "auto"
    keep_gib: NonNegativeFloat = 0.0
    """Decoded videos that a training process and its workers keep in memory for each split, in GiB; 0 decodes
    every clip. A small set trains faster so."""
    clips_per_video: PositiveInt = 1
    """Clips of other moments that each video of a training batch gives, decoded in one pass. A batch then has so many
    times the clips, which are less varied."""
    unreadable: Literal["stop", "skip"] = "stop"
    """What is done with a video that is missing or cannot be read: end with its name, or leave it out and count it."""
    max_unreadable: UnitFloat = 0.1
    """skip: training stops where more than this share of its videos is missing, or of an epoch's clips unreadable."""


class VideoListConfig(VideoDataConfig):
    """Kinetics and any set of one's own: a list of videos with their labels for each split."""

    name: Literal["video_list"] = "video_list"
    train: str
    """Lines `path label`, `folder frames label`, or `video_id, num_frames, label_index`; labels count from 0. Or the
    official table of Kinetics (label,youtube_id,time_start,time_end,split), whose clips <id>_<start>_<end> may lie
    anywhere below `videos`."""
    val: str
    classes: str | None = None
    """Names of the labels, one a line; null names them by their numbers (of Kinetics' table: in alphabetical order)."""


class Ucf101Config(VideoDataConfig):
    """UCF101, in either of the layouts people have."""

    name: Literal["ucf101"] = "ucf101"
    splits: str | None = None
    """Folder of classInd.txt, trainlist0N.txt and testlist0N.txt; null expects the videos in
    `videos`/{training,validation}/<Class>/."""
    split: Literal[1, 2, 3] = 1


class MultigridConfig(Settings):
    """Many small clips first, few large ones later (Wu et al. 2020). The recipe it speeds up is the rest of the file:
    policy step, whose last step begins the fine tuning."""

    long_cycle: bool = True
    """Frames and crop change from stage to stage."""
    short_cycle: bool = True
    """The crop changes from batch to batch."""
    epoch_factor: PositiveFloat = 1.5
    """How many times the recipe's clips are seen."""
    norm_base: PositiveInt = 8
    """Clips over which batch norm takes its statistics; larger batches are split, smaller ones are taken together with
    those of other processes."""
    validations: NonNegativeInt = 3
    """In each stage of the long cycle, about; the last is at its end. 0: every `train.validate_every` epochs."""

    @model_validator(mode="after")
    def _check_cycles(self) -> MultigridConfig:
        if not (self.long_cycle or self.short_cycle):
            raise ValueError("neither long_cycle nor short_cycle is left; set multigrid=null for plain training")
        return self


class MixingConfig(Settings):
    """Batches in which each clip is mixed with another one, and its label with the other's: a strong regularizer."""

    mixup_alpha: PositiveFloat = 0.8
    """mixup adds two clips up: the share of the first is drawn from Beta(alpha, alpha)."""
    cutmix_alpha: PositiveFloat = 1.0
    """CutMix puts a window of one clip into the other: the share of the area that stays is drawn likewise."""
    cutmix_share: UnitFloat = 0.5
    """Probability of CutMix, where a batch is mixed; else mixup."""
    probability: UnitFloat = 1.0
    """Share of the batches that are mixed."""
    label_smoothing: Share = 0.1
    """Share of every label that all classes get in equal parts."""


class RecognitionConfig(Settings):
    """One recognition run, whole."""

    task: Literal["recognition"]
    model: RecognizerConfig
    clip: VideoClipConfig = VideoClipConfig()
    transform: VideoTransformConfig = VideoTransformConfig()
    data: Annotated[VideoDataConfig, one_of(VideoDataConfig), SerializeAsAny()]
    train: TrainConfig = TrainConfig()
    mixing: MixingConfig | None = None
    """null trains on clips as they are."""
    multigrid: MultigridConfig | None = None
    """null trains on clips of one size."""
    precise_norm: NonNegativeInt = 0
    """Before each validation, batch norm takes its statistics from so many training batches; 0 keeps the running
    ones."""
    test: VideoTestConfig = VideoTestConfig()
    published: PublishedConfig = PublishedConfig()

    @model_validator(mode="after")
    def _check_multigrid(self) -> RecognitionConfig:
        if self.multigrid is None:
            return self
        steps = [0.0, *self.train.schedule.steps]
        if self.train.schedule.policy != "step" or steps[-1] >= self.train.epochs or any(step % 1 for step in steps):
            raise ValueError(
                "multigrid speeds up a recipe with train.schedule.policy step, whose steps are whole epochs below "
                f"train.epochs; found policy {self.train.schedule.policy}, steps {list(self.train.schedule.steps)}, "
                f"{self.train.epochs} epochs"
            )
        if self.train.accumulate != 1 or self.train.max_steps is not None:
            raise ValueError("multigrid chooses the batches itself; set train.accumulate=1 train.max_steps=null")
        if self.clip.train_strides is not None:
            raise ValueError("multigrid chooses the strides itself; set clip.train_strides=null")
        if self.train.schedule.warmup_by == "epoch":
            raise ValueError("multigrid warms up from step to step; set train.schedule.warmup_by=iteration")
        if self.model.window is not None:
            raise ValueError("multigrid's clips have many sizes, and so have their maps; set model.window=null")
        if self.train.schedule.factors:
            raise ValueError("multigrid lets the rate fall by train.schedule.gamma; set train.schedule.factors=[]")
        if self.train.repeat_threshold is not None:
            raise ValueError("multigrid shows every video equally often; set train.repeat_threshold=null")
        if self.multigrid.long_cycle and self.clip.frames % 4:
            raise ValueError(f"multigrid begins with a quarter of the frames; clip.frames {self.clip.frames} has none")
        return self

    @model_validator(mode="after")
    def _check_mixing(self) -> RecognitionConfig:
        several = self.transform.repeats * self.data.clips_per_video
        if self.multigrid is not None and (self.mixing is not None or several > 1):
            raise ValueError(
                "multigrid shows every clip once and as it is; set mixing=null transform.repeats=1 "
                "data.clips_per_video=1"
            )
        if self.mixing is not None and self.train.batch * several < 2:
            raise ValueError("mixing takes two clips of a batch, and train.batch is 1; make it 2 or more")
        return self

    @model_validator(mode="after")
    def _check_frames(self) -> RecognitionConfig:
        self.model.backbone.check_clip(self.clip.frames)
        if self.multigrid is not None and self.multigrid.long_cycle:
            try:
                self.model.backbone.check_clip(self.clip.frames // 4)
            except ValueError as fault:
                raise ValueError(f"multigrid begins with a quarter of clip.frames: {fault}") from None
        return self

    @model_validator(mode="after")
    def _check_window(self) -> RecognitionConfig:
        window, backbone = self.model.window, self.model.backbone
        if window is None or not isinstance(backbone, SlowOnlyConfig | SlowFastConfig):
            return self
        crop = min(self.transform.train_crop, self.transform.val_crop, self.test.crop)
        side = -(-crop // (16 * backbone.res5_stride))
        if window > side:
            raise ValueError(
                f"model.window {window} is larger than the map of the smallest crop, {side}x{side}; "
                "set model.window=null to average over the whole map"
            )
        return self

    @model_validator(mode="after")
    def _check_norm(self) -> RecognitionConfig:
        if self.precise_norm and self.train.freeze_norm:
            raise ValueError(
                "train.freeze_norm keeps the statistics that precise_norm measures; set precise_norm=0 or "
                "train.freeze_norm=false"
            )
        return self

    @model_validator(mode="after")
    def _check_views(self) -> RecognitionConfig:
        if self.test.crop > self.transform.test_short_side:
            raise ValueError(
                f"test.crop {self.test.crop} does not fit into "
                f"transform.test_short_side {self.transform.test_short_side}"
            )
        return self

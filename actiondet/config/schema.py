"""Every knob of a detection run, with unit and default."""

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
from actiondet.config.data_sets import DetectionDataConfig, NameOrId, PersonDataConfig, UnitFloat
from actiondet.config.networks import DetectorConfig, Share

Decay = Annotated[float, Field(gt=0, lt=1)]
HueRange = Annotated[float, Field(ge=0, le=180)]


class ClipConfig(Settings):
    """Which frames make a clip around a moment."""

    frames: PositiveInt = 8
    stride: PositiveInt = 8
    """Distance of two frames of the clip, in frames of `clip_fps`."""
    clip_fps: PositiveFloat | None = 30.0
    """Strides are in time: 10 or 60 fps files give the same span. null counts the file's own frames."""
    frame_jitter: bool = True
    """In training, shift every frame on its own by up to half a stride (MMAction2); false keeps them even."""


class TransformConfig(Settings):
    """Sizes in pixels. Resizing is bilinear without antialias, as the published weights expect."""

    train_short_side: tuple[PositiveInt, PositiveInt] = (256, 320)
    """The short side is drawn from this range, both ends included."""
    train_crop: PositiveInt | tuple[PositiveInt, PositiveInt] = 256
    """Side of the square, or (height, width), cut out at random."""
    flip: UnitFloat = 0.5
    """Probability of a mirror image; set 0 where actions know left and right."""
    box_jitter: tuple[Share, Share] | None = None
    """In training, each edge of a box moves on its own: outward by up to these shares of its width and height, inward
    by up to half as much ([0.2, 0.1] in VideoMAE and UMT)."""
    color_jitter: tuple[HueRange, UnitFloat, UnitFloat] | None = None
    """In training, shift hue, saturation and value of a clip by up to so much either way: degrees, and shares of their
    range ([20, 0.1, 0.1] in VideoMAE and UMT)."""
    rand_augment: tuple[PositiveInt, Annotated[int, Field(ge=0, le=30)]] | None = None
    """In training, so many operations of RandAugment on each clip, and their strength from 0 to 30 ([2, 9] in
    torchvision): shifts, turns, shears, in which boxes follow, and colors."""
    min_visible: UnitFloat = 0.3
    """Boxes of which less than this share of the area stays in view after the crop are dropped."""
    on_device: bool = False
    """In training, resize, crop, mirror and recolor frames on the device of the network instead of in the loading
    workers, where these have too little time; with the same arithmetic. Frames then travel whole, as decoded."""
    test_short_side: PositiveInt = 256

    @model_validator(mode="after")
    def _check_sizes(self) -> TransformConfig:
        low, high = self.train_short_side
        if low > high:
            raise ValueError(f"train_short_side {low}..{high} is empty; expected the smaller number first")
        side = self.train_crop if isinstance(self.train_crop, int) else min(self.train_crop)
        if self.on_device and self.rand_augment is not None:
            raise ValueError("rand_augment works in the loading workers; set on_device=false")
        if side > low:
            raise ValueError(f"a crop of {side} pixels does not fit into a short side of {low}; make it at most {low}")
        return self


ClassWeight = Literal["balanced"] | dict[str, PositiveFloat] | None


class LossConfig(Settings):
    """Binary cross-entropy (multi-label) or softmax cross-entropy, times alpha * (1 - exp(-loss)) ** gamma."""

    focal_gamma: NonNegativeFloat = 0.0
    focal_alpha: PositiveFloat = 1.0
    class_weight: ClassWeight = None
    """How many times an example of an action counts: {fall: 5} (others once), or balanced, the mean number of examples
    of an action divided by those of this one; null counts each once."""


class OptimizerConfig(Choice):
    """Open family: how a gradient changes the weights."""

    weight_decay: NonNegativeFloat = 1e-5
    norm_weight_decay: NonNegativeFloat | None = None
    """Weight decay of batch norm's scale and shift; null: as `weight_decay`."""
    layer_decay: UnitFloat | None = None
    """Transformers: each block learns at this share of the next one's rate, the head at the full one (0.75 in VideoMAE
    B); biases, norms and other vectors then have no weight decay. null: one rate for all."""
    part_rates: dict[str, PositiveFloat] | None = None
    """Parts that learn at another rate: by "backbone", "head" or a stage such as "res5", a factor of the full rate; a
    stage's wins over the backbone's ({backbone: 0.1}: the head learns ten times as fast). null: one rate for all."""


class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    momentum: Share = 0.9
    nesterov: bool = False

    @model_validator(mode="after")
    def _check_momentum(self) -> SGDConfig:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov looks ahead along the momentum; set momentum above 0, or nesterov=false")
        return self


class AdamWConfig(OptimizerConfig):
    """AdamW (Loshchilov and Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    betas: tuple[Share, Share] = (0.9, 0.999)


class ScheduleConfig(Settings):
    """The learning rate over the epochs."""

    policy: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    steps: tuple[PositiveFloat, ...] = ()
    """step: the epochs at which the rate is multiplied by `gamma`."""
    factors: tuple[NonNegativeFloat, ...] = ()
    """step: what the full rate is multiplied by from each of `steps` on, instead of powers of `gamma`; 1.0 restarts."""
    gamma: PositiveFloat = 0.1
    patience: NonNegativeInt = 5
    """plateau: the rate is multiplied by `gamma` after so many validations in a row, and one more, without a new
    best score."""
    warmup_epochs: NonNegativeFloat = 0.0
    """The rate rises linearly over so many epochs."""
    warmup_start: UnitFloat = 0.1
    """... from this share of the rate."""
    warmup_by: Literal["iteration", "epoch"] = "iteration"
    """epoch: the last warm-up epoch runs at the full rate already (MMAction2's LinearLR by epoch)."""
    update_every: Literal["iteration", "epoch"] = "iteration"
    """How often step and cosine move."""
    cosine_from: Literal["warmup", "start"] = "warmup"
    """warmup: the cosine begins where the warm-up ends; start: it spans the run and multiplies with the warm-up."""
    final: UnitFloat = 0.0
    """cosine: share of the rate at the end."""

    @model_validator(mode="after")
    def _check_steps(self) -> ScheduleConfig:
        if (self.policy == "step") != bool(self.steps):
            raise ValueError("steps belong to policy 'step' and to no other; give at least one epoch there")
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError(f"steps {list(self.steps)} do not rise")
        if self.factors and len(self.factors) != len(self.steps):
            raise ValueError(f"{len(self.factors)} factors for {len(self.steps)} steps; expected one for each")
        return self


class TrainConfig(Settings):
    """The training run."""

    epochs: PositiveInt = 20
    batch: PositiveInt = 8
    """Clips a process and step."""
    accumulate: PositiveInt = 1
    """Steps whose gradients are added before the weights change."""
    base_lr: PositiveFloat = 0.1
    """Learning rate at a total batch of `base_batch` clips."""
    base_batch: PositiveInt = 64
    scale_lr: bool = True
    """Multiply the rate by (batch x processes x accumulate) / base_batch."""
    optimizer: Annotated[OptimizerConfig, one_of(OptimizerConfig), SerializeAsAny()] = SGDConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    loss: LossConfig = LossConfig()
    clip_grad_norm: PositiveFloat | None = 40.0
    """Global L2 norm that gradients are clipped to; null for none."""
    freeze: tuple[str, ...] = ()
    """Parts that stay as `weights` has them, statistics of batch norm and all: [stem, res2], blocks of a transformer by
    number ([stem, block0]), or the whole backbone."""
    freeze_norm: bool = False
    """Keep batch norm in evaluation mode: its statistics stay as they were loaded."""
    ema_decay: Decay | None = None
    """Moving average of the weights, which is then what is validated and kept; null for none."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    repeat_threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    """Repeat-factor sampling (LVIS): an action in the share f of the clips, f below this, comes sqrt(threshold / f)
    times as often; null shows every clip once an epoch."""
    weights: str | None = None
    """Checkpoint to start from, ours or another toolkit's."""
    weights_allow: tuple[str, ...] = ()
    """Exceptions from the strict check of `weights`, by name: "head" for a network of other actions, say."""
    seed: NonNegativeInt = 0
    deterministic: bool = False
    """Only algorithms that repeat bit by bit, where torch has them."""
    compile: bool = False
    """torch.compile makes the backbone's steps faster, after minutes at the start of every process."""
    workers: NonNegativeInt = 2
    """Processes that read videos, for each training process."""
    max_steps: PositiveInt | None = None
    """Weight updates of the whole training at most, for a quick trial; null for all that `epochs` have."""
    profile_steps: NonNegativeInt = 0
    """Of so many weight updates, early in the run, write what took how long: profile.json (a Chrome trace) and
    profile.txt in the run folder."""
    validate_every: PositiveInt = 1
    """Epochs."""
    save_every: PositiveInt | None = None
    """Keep the checkpoint of every n-th epoch beside best.pt and last.pt; null keeps none."""
    save_minutes: PositiveFloat = 10.0
    """last.pt is also written in mid-epoch, each time so many minutes have passed."""


class TestConfig(Settings):
    """Testing and validation."""

    batch: PositiveInt = 8
    """Clips a process and step."""
    person_score: Literal["ignore", "multiply"] = "ignore"
    """multiply: an action's score is also multiplied by that of the person (VideoMAE's and UMT's authors); truth has
    persons of score 1."""
    flip: bool = False
    """Score the mirror image of every clip too; a person's scores are the mean of both. Not where actions know left and
    right."""
    short_sides: tuple[PositiveInt, ...] | None = None
    """Score every clip at each of these short sides ([224, 256, 320]); a person's scores are the mean. null: at
    transform.test_short_side alone."""

    @model_validator(mode="after")
    def _check_sides(self) -> TestConfig:
        if self.short_sides is not None and not 0 < len(set(self.short_sides)) == len(self.short_sides):
            raise ValueError(f"short_sides {list(self.short_sides)}: expected one or more, each of them once, or null")
        return self


class PublishedConfig(Settings):
    """What others published, which `--weights published` downloads."""

    weights: str | None = None
    """URL of the trained network that this configuration describes (testing, demo); null where there is none."""
    pretraining: str | None = None
    """URL of the weights that its training starts from; null where there are none."""


class PersonsConfig(Choice):
    """Open family: what finds persons in a frame."""

    threshold: UnitFloat = 0.5
    """Persons with a lower score are dropped."""


class LabeledPersons(PersonsConfig):
    """A detector of many kinds of objects, one of which is the subject."""

    label: NameOrId = "person"
    """Name or id of the class whose boxes are taken: a cow is a subject, too."""


class SsdPersons(LabeledPersons):
    """The small detector that travels with the project: nothing to download, fast, no detector for AVA."""

    name: Literal["ssd"] = "ssd"
    threshold: UnitFloat = 0.4
    """Persons with a lower score are dropped."""


class TorchvisionPersons(LabeledPersons):
    """A detector of torchvision, by its name there."""

    name: Literal["torchvision"] = "torchvision"
    model: str = "fasterrcnn_resnet50_fpn_v2"
    weights: str = "DEFAULT"
    """torchvision's weights by name (downloaded once), or a file."""


class DetectronPersons(LabeledPersons):
    """A detector of detectron2."""

    name: Literal["detectron2"] = "detectron2"
    config: str = "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml"
    """Name in detectron2's model zoo, or a config file of one's own."""
    weights: str | None = None
    """File or URL; null takes the model zoo's weights for `config`."""


class OnnxPersons(LabeledPersons):
    """A detector of one's own, exported as ONNX; it runs in ONNX Runtime.

    What is null must be given: a run without it ends with a proposal of what the file looks like.
    """

    name: Literal["onnx"] = "onnx"
    model: str
    """The file."""
    outputs: Literal["boxes", "detr", "yolox"] | None = None
    """boxes: pixel boxes, labels and scores after suppression (torchvision, MMDeploy). detr: logits and unit boxes of
    center, width and height. yolox: one row for each cell of its grids, not yet decoded."""
    scores: Literal["softmax", "sigmoid"] | None = None
    """What makes scores of DETR's logits; softmax (DETR itself) counts the last column as "nothing"."""
    fit: Literal["stretch", "letterbox", "none"] | None = None
    """How a frame gets the network's size; letterbox keeps its shape, at the top left; none leaves it as it is."""
    size: tuple[PositiveInt, PositiveInt] | None = None
    """Height and width of the network's input in pixels, where the file leaves it open."""
    channels: Literal["RGB", "BGR"] | None = None
    """Order of the colors that the network sees."""
    mean: tuple[float, float, float] | None = None
    """Taken from pixel values (0 to 255), in the order of `channels`."""
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    """What pixel values are then divided by."""
    max_overlap: UnitFloat = 0.45
    """yolox: a box that overlaps a better one by more (IoU) is dropped."""


class StoredPersons(PersonsConfig):
    """Boxes that were found before."""

    name: Literal["stored"] = "stored"
    boxes: str
    """Dense-proposal pkl or PySlowFast's CSV, with times in seconds."""


class DetectionConfig(Settings):
    """One detection run, whole."""

    task: Literal["detection"] = "detection"
    model: DetectorConfig
    clip: ClipConfig = ClipConfig()
    transform: TransformConfig = TransformConfig()
    data: Annotated[DetectionDataConfig, one_of(DetectionDataConfig), SerializeAsAny()]
    train: TrainConfig = TrainConfig()
    test: TestConfig = TestConfig()
    persons: Annotated[PersonsConfig, one_of(PersonsConfig), SerializeAsAny()] = SsdPersons()
    """Who finds the persons of a new video (the demo); training and testing read `data.*.proposals`."""
    published: PublishedConfig = PublishedConfig()

    @property
    def test_short_sides(self) -> tuple[int, ...]:
        """The short sides, in pixels, at which clips are tested."""
        return self.test.short_sides or (self.transform.test_short_side,)

    @model_validator(mode="after")
    def _check_frames(self) -> DetectionConfig:
        self.model.backbone.check_clip(self.clip.frames)
        data = self.data
        if isinstance(data, PersonDataConfig) and (data.classes is not None or data.merge_classes):
            self.model.head.check_choice()
        return self

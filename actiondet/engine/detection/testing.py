"""Test a detector on a data set: detections, their files, their score."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from actiondet.config import DetectionConfig
from actiondet.data import EvaluationSet, Loaded, OrderedSampler, build_loader, build_test_set
from actiondet.data.loading import worker_deaths_explained
from actiondet.engine.devices import gather_objects
from actiondet.engine.indexing import index_videos
from actiondet.engine.log import log_line
from actiondet.engine.predict import Control, Scoring, averaged, detect_batch
from actiondet.engine.tubes.multisports_rows import RowChoice, frame_detections
from actiondet.models.detector import ActionDetector
from actiondet.records import ClipBatch
from evaluation.files import atomic_path, check_writable
from evaluation.formats.action_list import ActionList, write_action_list
from evaluation.formats.ava import write_ava_csv, write_ava_results
from evaluation.frame_ap import FrameMapResult, frame_map
from evaluation.progress import ProgressBar
from evaluation.records import ActionDetections, DetectionRows, FrameKey, TruthRows
from evaluation.streaming import FrameAP
from evaluation.tables import write_json
from evaluation.tube_ap import ThresholdMapResult
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_scoring import tube_frame_map


@worker_deaths_explained()
def run_test(
    config: DetectionConfig,
    detector: ActionDetector,
    *,
    weights: str | Path,
    folder: Path,
    fabric: Fabric,
    moments: Literal["annotated", "all"] = "annotated",
    dump: bool = False,
    control: Control = "none",
) -> FrameMapResult | ThresholdMapResult:
    """Detect on the validation split of an AVA-format set, write detections.csv and results.json, and score.

    Where data.classes chooses among the actions, truth.csv and action_list.pbtxt are the truth and the list of these.

    Args:
        config: the data and their clips.
        detector: with its weights, on its device.
        weights: the file that they come from.
        folder: of the results.
        fabric: of the process.
        moments: key moments with truth, or every one that has proposals.
        dump: also write dense_scores.npz.
        control: still or reversed clips.

    Raises:
        InputError: data or videos that cannot be used.

    Example:
        >>> config, fabric = actiondet.load_config("small.yaml"), actiondet.launch()
        >>> detector = actiondet.load_trained("detector.pt", config).network
        >>> result = actiondet.run_test(config, detector, weights="detector.pt", folder=Path("test"), fabric=fabric)
        >>> 0 <= result.mean_ap <= 1
        True
    """
    check_writable(folder / "detections.csv")
    dataset = build_test_set(
        config.data,
        clip=config.clip,
        transform=config.transform,
        num_actions=config.model.num_actions,
        moments=moments,
        tracks=detector.head.follows_tracks,
        short_sides=config.test.short_sides,
        bank=config.model.bank,
    )
    index_videos([dataset.videos], fabric)
    loader = build_test_loader(dataset, config, fabric)
    detections = detect_all(detector, dataset, loader, config, fabric, control=control)
    if fabric.is_global_zero:
        write_ava_results(
            folder / "detections.csv", DetectionRows.from_detections(detections, actions=dataset.evaluated)
        )
        if dataset.actions.places is not None and isinstance(dataset.truth, TruthRows):
            write_chosen_truth(dataset.truth, dataset.evaluated, folder)
        if dump:
            write_dense_scores(detections, folder / "dense_scores.npz")
    result = evaluate(detections, dataset)
    if fabric.is_global_zero:
        notes = left_out(detections, dataset)
        per_class = result.per_class.set_index("id")["ap"]
        summary = {
            "mean_ap": result.mean_ap,
            "moments": moments,
            "control": control,
            "weights": str(weights),
            "per_class": {str(label): ap for label, ap in per_class.items()},
            "notes": notes,
        }
        write_json(folder / "results.json", summary)
        for note in notes:
            log_line(f"note: {note}")
        log_line(f"wrote {folder / 'detections.csv'} and {folder / 'results.json'}")
    return result


def write_chosen_truth(truth: TruthRows, actions: ActionList, folder: Path) -> None:
    """Write the truth of a choice of actions, which other programs need to score detections.csv as it was scored."""
    write_ava_csv(folder / "truth.csv", truth)
    write_action_list(folder / "action_list.pbtxt", actions)
    log_line(f"wrote {folder / 'truth.csv'} and {folder / 'action_list.pbtxt'}: those of data.classes")


def build_test_loader(dataset: EvaluationSet, config: DetectionConfig, fabric: Fabric) -> DataLoader[Loaded[ClipBatch]]:
    """Load this process's share of `dataset`."""
    sizes = len(dataset.short_sides)
    sampler = OrderedSampler(len(dataset), rank=fabric.global_rank, world_size=fabric.world_size, repeats=sizes)
    # All sizes of a moment come in one batch: a forward pass takes those of one size.
    return build_loader(dataset, sampler, batch=config.test.batch * sizes, workers=config.train.workers)


def detect_all(
    detector: ActionDetector,
    dataset: EvaluationSet,
    loader: DataLoader[Loaded[ClipBatch]],
    config: DetectionConfig,
    fabric: Fabric,
    *,
    control: Control = "none",
) -> list[ActionDetections]:
    """The detections of all processes on `dataset`, in the order of their keys, in every process."""
    return gather(detect_share(detector, dataset, loader, config, fabric, control=control), fabric)


def detect_share(
    detector: ActionDetector,
    dataset: EvaluationSet,
    loader: DataLoader[Loaded[ClipBatch]],
    config: DetectionConfig,
    fabric: Fabric,
    *,
    control: Control = "none",
) -> list[ActionDetections]:
    """The detections of this process on its share of `dataset`, which `loader` loads.

    Clips of several sizes of a moment give one result, the mean; a clip that cannot be read has none.

    Raises:
        InputError: a video that cannot be read, unless the settings leave such clips out.
    """
    detector.eval()
    scoring = Scoring.of(config, control=control)
    found: list[ActionDetections] = []
    for loaded in ProgressBar("testing", len(loader), shown=fabric.is_global_zero).over(loader):
        loaded.check(config.data.unreadable)
        for batch in loaded.batches:
            found += detect_batch(detector, batch, dataset.persons, fabric=fabric, scoring=scoring)
    return averaged(found)


def gather(detections: list[ActionDetections], fabric: Fabric) -> list[ActionDetections]:
    """The detections of all processes, in every process, in the order of their keys."""
    return sorted((each for part in gather_objects(detections, fabric) for each in part), key=lambda each: each.key)


def unread(seen: Collection[FrameKey], dataset: EvaluationSet) -> list[str]:
    """One sentence if some clips of `dataset` could not be read, and were not `seen`; else none."""
    holes = [key for key in dataset.keys if key not in seen]
    if not holes:
        return []
    share = f"{len(holes)} of {len(dataset.keys)}"
    return [f"clips that cannot be read: {share}, such as of '{holes[0].video}'; nobody is found there"]


def left_out(detections: list[ActionDetections], dataset: EvaluationSet) -> list[str]:
    """What is odd in the data set and what could not be tested, which costs accuracy: one sentence for each kind."""
    notes = list(dataset.notes)
    if missing := dataset.missing:
        notes.append(f"missing videos: {len(missing)}, such as '{missing[0]}'; their truth counts as missed")
    if dataset.without_persons:
        notes.append(f"key frames without proposals: {dataset.without_persons}; nobody is found there")
    return notes + unread({each.key for each in detections}, dataset)


def evaluate(detections: list[ActionDetections], dataset: EvaluationSet) -> FrameMapResult | ThresholdMapResult:
    """Frame-mAP@0.5 of `detections` by the official rules: AVA's of rows, MultiSports' of tubes."""
    if isinstance(dataset.truth, TubeTruth):
        choice = RowChoice(labels=dataset.actions.ids)
        return tube_frame_map(dataset.truth, frame_detections(detections, dataset.truth, choice))
    rows = DetectionRows.from_detections(detections, actions=dataset.evaluated)
    return frame_map(dataset.truth, rows, actions=dataset.evaluated, excluded=dataset.excluded)


def validate(
    detector: ActionDetector,
    dataset: EvaluationSet,
    loader: DataLoader[Loaded[ClipBatch]],
    config: DetectionConfig,
    fabric: Fabric,
) -> FrameMapResult | ThresholdMapResult:
    """Frame-mAP@0.5 on `dataset`, by the rules of its benchmark, in every process; what could not be read is logged.

    In AVA's form every process takes its own detections into a `FrameAP`, and these are merged.
    """
    found = detect_share(detector, dataset, loader, config, fabric)
    seen = {key for share in gather_objects([each.key for each in found], fabric) for key in share}
    if fabric.is_global_zero:
        for note in unread(seen, dataset):
            log_line(f"validation: {note}")
    if isinstance(dataset.truth, TubeTruth):
        return evaluate(gather(found, fabric), dataset)
    metric = FrameAP(dataset.evaluated, excluded=dataset.excluded)
    metric.update(dataset.truth, DetectionRows.from_detections(found, actions=dataset.evaluated))
    first, *others = gather_objects(metric, fabric)
    for other in others:
        first.merge(other)
    return first.compute()


def write_dense_scores(detections: Sequence[ActionDetections], path: Path) -> None:
    """Write every score of every person as a .npz: video, moment, boxes (P, 4), person_scores, action_scores (P, C)."""
    counts = [len(each) for each in detections]
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            video=np.repeat(np.asarray([each.key.video for each in detections], dtype=np.str_), counts),
            moment=np.repeat(np.asarray([each.key.moment for each in detections], dtype=np.int64), counts),
            boxes=np.concatenate([each.boxes for each in detections]),
            person_scores=np.concatenate([each.person_scores for each in detections]),
            action_scores=np.concatenate([each.action_scores for each in detections]),
        )
    log_line(f"wrote {path}")

"""Index the videos of a data set once for all runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from lightning_fabric import Fabric
from torch.utils.data import DataLoader, Dataset

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.data import build_test_set, build_training_set
from actiondet.data.loading import prepare_worker, worker_deaths_explained
from actiondet.datasets.labeled_videos import find_labeled_videos
from actiondet.datasets.sources import ReaderPool
from actiondet.datasets.splits import SplitName
from actiondet.engine.devices import gather_objects
from actiondet.engine.log import log_line
from actiondet.video.kept_index import KeptIndices, Packed, packed_index
from evaluation.progress import ProgressBar

# ReaderPool that are indexed between two writings of the file: an interrupted run goes on after the last one.
_ROUND = 20_000
_SPLITS: tuple[SplitName, ...] = ("train", "val")
# So few are indexed sooner than processes are started.
_FEW = 64
# So many files of a data set show whether files have changed; a reader looks at its own file in any case.
_LOOKS = 1000


def index_videos(sources: Sequence[ReaderPool], fabric: Fabric, *, looks: int | None = _LOOKS) -> list[Path]:
    """Index those videos of which no index is kept, with all processes and all cores, and keep the indices.

    A disk that takes no file costs the time of indexing in every run, and nothing else.

    Args:
        sources: the videos of the splits of a data set.
        fabric: of the process.
        looks: at so many files of a folder whether they have changed, as in `KeptIndices.lacking`.

    Returns:
        The files that the indices are in.
    """
    folders: dict[Path, tuple[KeptIndices, list[str]]] = {}
    for videos in sources:
        if videos.kept is not None:
            folders.setdefault(videos.kept.path, (videos.kept, []))[1].extend(videos.files())
    for kept, paths in folders.values():
        lacking = sorted(set(kept.lacking(paths, looks=looks))) if fabric.is_global_zero else []
        lacking = fabric.broadcast(lacking)
        if lacking:
            _index(kept, lacking, fabric)
    for videos in sources:
        if videos.kept is not None:
            videos.kept.reopen()
    return list(folders)


def index_data_set(config: DetectionConfig | RecognitionConfig, fabric: Fabric) -> list[Path]:
    """Index the training and the test split that `config` describes, and look at every file; see `index_videos`.

    Raises:
        InputError: data that cannot be used.
    """
    if isinstance(config, RecognitionConfig):
        classes = config.model.num_classes
        splits = [find_labeled_videos(config.data, split, num_classes=classes) for split in _SPLITS]
        return index_videos([split.sources for split in splits], fabric, looks=None)
    actions = config.model.num_actions
    train = build_training_set(config.data, clip=config.clip, transform=config.transform, num_actions=actions, seed=0)
    test = build_test_set(config.data, clip=config.clip, transform=config.transform, num_actions=actions)
    return index_videos([train.videos, test.videos], fabric, looks=None)


class _Indexing(Dataset[tuple[str, Packed]]):
    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, place: int) -> tuple[str, Packed]:
        return self._paths[place], packed_index(self._paths[place])


@worker_deaths_explained()
def _index(kept: KeptIndices, paths: list[str], fabric: Fabric) -> None:
    """Index `paths` and keep what is found, round by round."""
    few = len(paths) <= _FEW * fabric.world_size
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = 0 if few else max(cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 1)
    mine = _Indexing(paths[fabric.global_rank :: fabric.world_size])
    loader = DataLoader(mine, batch_size=None, num_workers=workers, worker_init_fn=prepare_worker)
    title = "indexing videos, once for all runs"
    found = iter(ProgressBar(title, len(mine), shown=fabric.is_global_zero and not few).over(loader))
    for _ in range(0, -(-len(paths) // fabric.world_size), _ROUND):
        packed = dict(islice(found, _ROUND))
        parts = gather_objects(packed, fabric)
        if fabric.is_global_zero:
            try:
                kept.add({path: each for part in parts for path, each in part.items()})
            except OSError as fault:
                log_line(f"the videos' indices are not kept: {fault}")
    fabric.barrier()

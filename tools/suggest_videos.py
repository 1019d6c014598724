"""Rank unlabeled videos: python tools/suggest_videos.py CONFIG --weights F --videos DIR [--sheet sheet.png].

Looks at every video of the folder that the data set of CONFIG does not have, and says which are worth annotating next:
those whose persons' actions the network is least sure of, whose predicted actions are rare in the set, and whose mix of
actions is unlike the set's videos and the suggestions before them. The three count alike. Writes a CSV file and, on
request, a picture of each of the first suggestions.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from actiondet.command_line import add_config
from evaluation.arguments import Parser, number
from evaluation.command_line import run_tool
from evaluation.errors import InputError
from evaluation.files import atomic_path, check_targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actiondet.config import DetectionConfig
    from actiondet.datasets.suggesting import Stretch, Suggestion
    from evaluation.formats.action_list import ActionList
    from evaluation.records import ActionDetections, TruthRows

NAMED = 0.3
"""Actions from this score on are named in the CSV file and on the sheet."""


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description="Rank unlabeled videos by what annotating them would teach.",
        examples=["actiondet suggest-videos own.yaml --weights runs/own/best.pt --videos more --sheet sheet.png"],
    )
    add_config(parser)
    parser.add_argument("--weights", required=True, metavar="F", help="checkpoint of a network trained on it")
    parser.add_argument("--videos", required=True, type=Path, metavar="DIR", help="folder of unlabeled videos")
    parser.add_argument("--out", type=Path, default=Path("suggestions.csv"), metavar="CSV", help="%(default)s")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw the first suggestions")
    parser.add_argument("--stretch", type=number, metavar="S", help="rank stretches of S seconds, not whole videos")
    parser.add_argument("--every", type=number, default=1.0, metavar="S", help="seconds between key frames (1)")
    parser.add_argument("--show", type=int, default=12, metavar="N", help="suggestions printed and drawn (12)")
    parser.add_argument("--device", help="cpu, cuda, mps, ... (default: a GPU where there is one)")
    return parser.parse_intermixed_args()


def main() -> None:
    """Rank the videos."""
    arguments = parse_arguments()
    if arguments.stretch is not None and not arguments.stretch >= arguments.every > 0:
        raise InputError(f"--stretch {arguments.stretch:g}: expected at least --every {arguments.every:g} seconds")
    check_targets([path for path in (arguments.out, arguments.sheet) if path], source=arguments.weights)

    from actiondet.config import DetectionConfig, load_config
    from actiondet.datasets.suggesting import Labeled, rank_stretches
    from actiondet.engine.devices import choose_device
    from actiondet.engine.loading import load_trained
    from actiondet.pipeline import VideoPipeline
    from evaluation.progress import ProgressBar

    config = load_config(arguments.config, arguments.settings, modules=arguments.modules)
    truth = read_truth(config)
    trained = load_trained(arguments.weights, DetectionConfig)
    columns = trained.actions.columns.tolist()
    videos = unlabeled(arguments.videos, truth)
    pipeline = VideoPipeline.of(
        trained, persons=config.persons, every=arguments.every, device=choose_device(arguments.device or "auto")
    )
    found: dict[Path, list[ActionDetections]] = {}
    for path in ProgressBar("looking", len(videos)).over(videos):
        try:
            found[path] = list(pipeline(path))
        except InputError as fault:
            print(f"left out: {fault}", file=sys.stderr)
    if not found:
        raise InputError(f"{arguments.videos}: none of {len(videos)} videos can be read")
    stretches = [
        each
        for path, detections in found.items()
        for each in cut(path, detections, columns, stretch=arguments.stretch, every=arguments.every)
    ]
    ranked = rank_stretches(stretches, Labeled.of(truth, trained.actions.ids))
    write(arguments.out, ranked, trained.actions)
    for rank, each in enumerate(ranked[: arguments.show], start=1):
        print(f"{rank:>3} {each.value:.3f} {described(each, trained.actions)}")
    print(f"wrote {arguments.out}: {len(ranked)} {'videos' if arguments.stretch is None else 'stretches'}")
    if arguments.sheet:
        draw(arguments.sheet, ranked[: arguments.show], found, columns, trained.actions)
        print(f"wrote {arguments.sheet}")


def read_truth(config: DetectionConfig) -> list[TruthRows]:
    """The annotations of both splits.

    Raises:
        InputError: a data set in another format.
    """
    from actiondet.config.data_sets import AvaConfig
    from evaluation.formats.ava import read_ava_csv

    if not isinstance(config.data, AvaConfig):
        raise InputError(f"data.name={config.data.name}: expected a data set in AVA's format, data.name=ava")
    return [read_ava_csv(split.truth) for split in (config.data.train, config.data.val)]


def unlabeled(folder: Path, truth: Sequence[TruthRows]) -> list[Path]:
    """The videos of the folder that the data set does not have.

    Raises:
        InputError: there are none, or two of one name.
    """
    from actiondet.datasets.sources import videos_below
    from evaluation.video_names import composed

    labeled = {str(name) for rows in truth for name in rows.video.categories}
    labeled |= {key.video for rows in truth for key in rows.empty_moments}
    videos = videos_below(folder)
    new: dict[str, Path] = {}
    for path in videos:
        name = composed(path.stem)
        if name in new:
            raise InputError(f"{path}: duplicate video '{name}', see {new[name]}; names of videos must be unique")
        if name not in labeled:
            new[name] = path
    if not new:
        raise InputError(f"{folder}: all {len(videos)} videos are annotated already; expected others")
    return list(new.values())


def cut(
    path: Path, detections: Sequence[ActionDetections], columns: Sequence[int], *, stretch: float | None, every: float
) -> Iterator[Stretch]:
    """The stretches of a video; the last one may be shorter."""
    import numpy as np

    from actiondet.datasets.suggesting import Stretch

    length = round(stretch / every) if stretch is not None else max(1, len(detections))
    for first in range(0, len(detections), length):
        part = detections[first : first + length]
        scores = np.concatenate([each.action_scores[:, columns] for each in part])
        yield Stretch(path.stem, part[0].key.moment / 1e6, part[-1].key.moment / 1e6 + every, scores)


def write(path: Path, ranked: Sequence[Suggestion], actions: ActionList) -> None:
    """Write the ranking as CSV, with a header."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["rank", "video", "start", "end", "persons", "value", "uncertain", "rare", "unlike", "actions"])
        for rank, each in enumerate(ranked, start=1):
            part = each.stretch
            figures = (f"{figure:.4f}" for figure in (each.value, each.uncertain, each.rare, each.unlike))
            named = "; ".join(expected(each, actions))
            writer.writerow([rank, part.video, f"{part.start:g}", f"{part.end:g}", len(part.scores), *figures, named])


def expected(suggestion: Suggestion, actions: ActionList) -> list[str]:
    """Names of the actions that some person is expected to do, the most likely first."""
    best = suggestion.stretch.scores.max(axis=0, initial=0)
    order = sorted(range(len(best)), key=lambda column: -best[column])
    return [actions.names[column] for column in order if best[column] >= NAMED]


def described(suggestion: Suggestion, actions: ActionList) -> str:
    """A suggestion in one line."""
    part = suggestion.stretch
    named = ", ".join(expected(suggestion, actions)[:4]) or "no action above the threshold"
    reasons = f"uncertain {suggestion.uncertain:.2f}, rare {suggestion.rare:.2f}, unlike {suggestion.unlike:.2f}"
    return f"{part.video} {part.start:g}-{part.end:g} s: {reasons}; {len(part.scores)} boxes; {named}"


def draw(
    path: Path,
    ranked: Sequence[Suggestion],
    found: dict[Path, list[ActionDetections]],
    columns: Sequence[int],
    actions: ActionList,
) -> None:
    """Draw the key frame with most persons of each suggestion."""
    from data_tools.check_dataset.contact_sheet import Tile, nearest_to, write_contact_sheet

    tiles = []
    of_name = {each.stem: each for each in found}
    for rank, each in enumerate(ranked, start=1):
        part = each.stretch
        inside = [one for one in found[of_name[part.video]] if part.start <= one.key.moment / 1e6 < part.end]
        shown = max(inside, key=len)
        boxes = tuple(
            (tuple(box), tuple(actions.names[i] for i, column in enumerate(columns) if scores[column] >= NAMED))
            for box, scores in zip(shown.boxes.tolist(), shown.action_scores, strict=True)
        )
        caption = f"{rank}. {part.video} {part.start:g}-{part.end:g} s"
        tiles.append(Tile(of_name[part.video], nearest_to(shown.key.moment), caption, boxes))
    write_contact_sheet(path, tiles, None)


if __name__ == "__main__":
    run_tool(main)

"""Name what videos show: python tools/predict.py --input FILE|DIR --weights F [--top 5] [--views 10x3] [--json J].

One video, or every video below a folder. Without --config, the weights must be a checkpoint of ours.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evaluation.command_line import run_tool


def find_inputs(path: Path) -> list[Path]:
    """The video itself, or the videos below a folder."""
    from actiondet.data.sources import VIDEO_SUFFIXES
    from evaluation.errors import InputError

    if not path.is_dir():
        return [path]
    videos = sorted(each for each in path.rglob("*") if each.suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise InputError(f"{path}: holds no videos; expected files like .mp4, .mkv, .avi, .webm")
    return videos


def main() -> int:
    parser = argparse.ArgumentParser(description="Name what videos show.")
    parser.add_argument("--input", required=True, type=Path, metavar="P", help="a video, or a folder of videos")
    parser.add_argument("--weights", required=True, metavar="F", help="checkpoint of tools/train_rec.py")
    parser.add_argument("--config", metavar="C", help="YAML file of configs/, for weights of another toolkit")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes to print (default: 5)")
    parser.add_argument("--views", default="1x1", metavar="CxS", help="clips x crops (default: the centre, 1x1)")
    parser.add_argument("--json", type=Path, metavar="J", help="write classes and scores of every video")
    parser.add_argument("--device", default="auto", help="cpu, cuda (default: cuda where there is one)")
    arguments = parser.parse_args()
    clips, _, crops = arguments.views.partition("x")
    if not clips.isdecimal() or int(clips) < 1 or crops not in ("1", "3"):
        parser.error(f"--views {arguments.views}: expected CLIPSxCROPS, crops 1 or 3, such as 10x3")
    if arguments.top < 1:
        parser.error(f"--top {arguments.top}: expected 1 or more")

    import torch

    from actiondet.config import load_recognition_config
    from actiondet.engine.log import ProgressBar
    from actiondet.engine.recognition_test import write_json
    from actiondet.engine.recognize import load_recognizer
    from evaluation.errors import InputError

    videos = find_inputs(arguments.input)
    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    config = load_recognition_config(arguments.config) if arguments.config else None
    recognizer = load_recognizer(
        arguments.weights, config=config, views=(int(clips), 3 if crops == "3" else 1), device=device
    )
    found: dict[str, list[dict[str, object]]] = {}
    faults: list[str] = []
    for path in ProgressBar("predicting", len(videos), shown=len(videos) > 1).over(videos):
        try:
            scores = recognizer(path)
        except (InputError, OSError) as fault:
            if len(videos) == 1:
                raise
            faults.append(str(fault))
            continue
        best = scores.argsort(kind="stable")[::-1][: arguments.top]
        found[str(path)] = [{"class": recognizer.classes[label], "score": float(scores[label])} for label in best]
        print(path)
        for each in found[str(path)]:
            print(f"  {each['score']:.4f}  {each['class']}")
    for fault in faults:
        print(f"predict.py: left out: {fault}", file=sys.stderr)
    if faults:
        print(f"{len(faults)} of {len(videos)} videos could not be read", file=sys.stderr)
    if arguments.json:
        write_json(arguments.json, found)
    return 0 if found else 1


if __name__ == "__main__":
    run_tool(main)

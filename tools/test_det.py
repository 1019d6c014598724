"""Test an action detector: python tools/test_det.py CONFIG --weights F --out DIR [--moments all|annotated] [--dump].
MultiSports: [--stride N] [--smooth N] [--min-score S] [--labels-per-box N].

Writes DIR/results.json and, on AVA-format sets, DIR/detections.csv (AVA result format, every action score in full
precision), on MultiSports DIR/frame_detections.pkl (the official layout). Repeated after an interruption, a test on
MultiSports goes on where it was. Several processes: torchrun --nproc-per-node N tools/test_det.py CONFIG ...
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from actiondet.command_line import add_config, add_weights
from evaluation.arguments import Parser, number
from evaluation.command_line import run_tool
from evaluation.errors import InputError

if TYPE_CHECKING:
    from evaluation.frame_ap import FrameMapResult
    from evaluation.tube_ap import ThresholdMapResult


def main() -> None:
    parser = Parser(
        description="Test an action detector on the validation split of a data set.",
        examples=[
            "actiondet test-det ava22/slowfast_r50_8x8_k400 --weights published --out runs/test",
            "actiondet test-det multisports/slowfast_r50_4x16_k400 --weights best.pt --stride 4 --out runs/ms",
        ],
    )
    add_config(parser)
    add_weights(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--moments",
        choices=["annotated", "all"],
        help="key frames with truth, or every one that has proposals (default: annotated; MultiSports: all, as its "
        "authors; MMAction2 scores the annotated ones alone)",
    )
    frames = parser.add_argument_group("MultiSports")
    frames.add_argument(
        "--stride",
        type=int,
        default=1,
        metavar="N",
        help="look at every n-th frame and carry boxes and scores to those between (default: %(default)s)",
    )
    frames.add_argument(
        "--smooth",
        type=int,
        default=1,
        metavar="N",
        help="average each person's scores over N frames along the track, an odd number (default: %(default)s, none)",
    )
    frames.add_argument(
        "--min-score", type=number, default=0.005, metavar="S", help="write scores from S on (default: %(default)s)"
    )
    frames.add_argument("--labels-per-box", type=int, metavar="N", help="write the N best scores of a box at most")
    parser.add_argument("--dump", action="store_true", help="also write dense_scores.npz: every score of every person")
    parser.add_argument(
        "--control",
        choices=["none", "still", "reversed"],
        default="none",
        help="repeat each clip's key frame, or reverse its time: shows whether the network sees motion",
    )
    arguments = parser.parse_intermixed_args()

    from actiondet.config import load_config

    config = load_config(arguments.config, arguments.settings, modules=arguments.modules)

    from actiondet.config.data_sets import MultiSportsConfig
    from actiondet.engine.detection.testing import run_test
    from actiondet.engine.devices import launch, leave
    from actiondet.engine.loading import load_trained, network_for_testing
    from actiondet.models.weights.download import choose_weights

    tubes = isinstance(config.data, MultiSportsConfig)
    if tubes and arguments.dump:
        raise InputError("--dump is for AVA-format sets; on MultiSports --min-score 0 writes every score")
    of_tubes = {"stride": 1, "smooth": 1, "min_score": 0.005, "labels_per_box": None}
    if not tubes and any(getattr(arguments, name) != usual for name, usual in of_tubes.items()):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in of_tubes)
        raise InputError(f"{options} are for MultiSports; data.name is '{config.data.name}'")
    weights = choose_weights(arguments.weights, config.published.weights)
    fabric = launch()
    detector = network_for_testing(load_trained(weights, config), fabric)
    moments: Literal["all", "annotated"] = arguments.moments or ("all" if tubes else "annotated")
    folder = Path(arguments.out)
    result: FrameMapResult | ThresholdMapResult | None
    if tubes:
        from actiondet.engine.tubes.multisports_rows import RowChoice
        from actiondet.engine.tubes.testing import FrameTest, run_tube_test

        choice = RowChoice(min_score=arguments.min_score, labels_per_box=arguments.labels_per_box)
        test = FrameTest(
            moments=moments, stride=arguments.stride, smooth=arguments.smooth, choice=choice, control=arguments.control
        )
        result = run_tube_test(config, detector, weights=weights, folder=folder, fabric=fabric, test=test)
    else:
        result = run_test(
            config,
            detector,
            weights=weights,
            folder=folder,
            fabric=fabric,
            moments=moments,
            dump=arguments.dump,
            control=arguments.control,
        )
    if fabric.is_global_zero:
        print(f"moments: {moments}" + (f"; control: {arguments.control}" if arguments.control != "none" else ""))
        print(result)
    leave()


if __name__ == "__main__":
    run_tool(main)

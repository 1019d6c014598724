"""Index the videos of a data set ahead: python tools/index_videos.py CONFIG [key=value ...].

Training and testing do so by themselves where an index is missing. It needs one pass through all files. The indices
are kept in one file in the folder of the videos, or in the cache where that folder cannot be written to.
Several processes: torchrun --nproc-per-node N tools/index_videos.py CONFIG ...
"""

from __future__ import annotations

from actiondet.command_line import add_config
from evaluation.arguments import Parser
from evaluation.command_line import run_tool


def main() -> None:
    parser = Parser(
        description="Index the videos of a data set ahead of its training.",
        examples=[
            "actiondet index-videos ava22/slowfast_r50_8x8_k400 data.videos=videos",
        ],
    )
    add_config(parser)
    arguments = parser.parse_intermixed_args()

    from actiondet.config.load import load_config_by_task

    config = load_config_by_task(arguments.config, arguments.settings, modules=arguments.modules)

    from actiondet.engine.devices import launch, leave
    from actiondet.engine.indexing import index_data_set

    fabric = launch()
    files = index_data_set(config, fabric)
    if fabric.is_global_zero:
        for file in files:
            print(f"the indices are in {file}")
        if not files:
            print("there is nothing to index: the frames are pictures")
    leave()


if __name__ == "__main__":
    run_tool(main)

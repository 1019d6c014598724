"""How fast is it, here and now? python tools/benchmark.py dense|imbalance|memory|model|relations|tracks|train ...

Every kind of measurement is a module of tools/benchmarks/ with `add_arguments(parser)` and `run(arguments)`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from evaluation.arguments import Parser
from evaluation.command_line import run_tool


def main() -> None:
    parser = Parser(
        description="Measure how fast things are, against the plain way in the same run.",
        examples=[
            "actiondet benchmark model ava22/slowfast_r50_8x8_k400 --threads 1",
            "actiondet benchmark train kinetics400/slowonly_r50_4x16_in1k --json -",
        ],
    )
    kinds = parser.add_subparsers(required=True, metavar="KIND")
    for kind in sorted(path.stem for path in Path(__file__).with_name("benchmarks").glob("[!_]*.py")):
        module = importlib.import_module(f"actiondet.cli.benchmarks.{kind}")
        if not hasattr(module, "run"):
            continue
        assert module.__doc__ is not None
        part = kinds.add_parser(kind, help=module.__doc__.splitlines()[0], description=module.__doc__)
        module.add_arguments(part)
        part.set_defaults(run=module.run)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    run_tool(main)

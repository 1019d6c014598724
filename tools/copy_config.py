"""Write a packaged configuration to a file of your own, whole and with its comments."""

from __future__ import annotations

from pathlib import Path

from evaluation.arguments import Parser
from evaluation.command_line import run_tool
from evaluation.errors import InputError
from evaluation.files import check_writable, write_text


def main() -> None:
    parser = Parser(
        description=__doc__,
        examples=[
            "actiondet copy-config own/slowonly own.yaml",
        ],
    )
    parser.add_argument("name", metavar="NAME", help="zoo name, as `actiondet zoo` lists it, or a YAML file")
    parser.add_argument("out", type=Path, metavar="FILE", help="YAML file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE")
    arguments = parser.parse_args()
    if arguments.out.exists() and not arguments.overwrite:
        raise InputError(f"{arguments.out} exists; choose another name, or pass --overwrite to replace it")
    check_writable(arguments.out)

    from actiondet.config.whole import whole_text
    from actiondet.config.zoo import find_config

    write_text(arguments.out, whole_text(find_config(arguments.name)))
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    run_tool(main)

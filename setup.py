"""Packaging of actiondet; settings of the development tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ONNX = ["onnx>=1.17", "onnxruntime>=1.20", "onnxscript>=0.5"]

# In the source, so that a wheel is built without git and without importing the package.
VERSION = re.search(
    r'^__version__ = "(.+)"$', Path(__file__).with_name("actiondet").joinpath("__init__.py").read_text(), re.M
)[1]

setup(
    name="actiondet",
    version=VERSION,
    description="Spatio-temporal action detection: who does what, where and when in video",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    # The programs and the configurations stand at the top of the checkout and are installed inside the package:
    # one copy of each file, and `actiondet PROGRAM` is the same file as tools/PROGRAM.py.
    packages=[
        *find_packages(include=["actiondet*", "evaluation*", "data_tools*"]),
        "actiondet.cli",
        "actiondet.cli.benchmarks",
        "actiondet.configs",
    ],
    package_dir={"actiondet.cli": "tools", "actiondet.configs": "configs"},
    package_data={
        "actiondet": ["py.typed", "persons/ssd_mobilenet_v2_oidv4/*"],
        "actiondet.configs": ["*.md", "*/*.yaml"],
        "evaluation": ["py.typed", "labels/*", "page/*.html", "page/*.css", "page/*.js"],
        "data_tools": ["py.typed"],
    },
    entry_points={"console_scripts": ["actiondet = actiondet.cli.__main__:main"]},
    install_requires=[
        "argcomplete>=3.1",
        "av>=14",
        # decord has wheels for x86-64 only; elsewhere the frame-exact PyAV reader does all the reading.
        "decord>=0.6; platform_machine == 'x86_64'",
        "filelock>=3.12",
        "lightning-fabric>=2.5",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "opencv-python-headless>=4.10",
        "pandas>=2.1",
        "pillow>=10.1",
        "pycocotools>=2.0.8",
        "pydantic>=2.7",
        "pyyaml>=6",
        "rich>=13",
        "safetensors>=0.4.3",
        "scipy>=1.11",
        "supervision>=0.25",
        "tensorboard>=2.15",
        "torch>=2.8",
        "torchvision>=0.23",
    ],
    extras_require={
        "test": [
            "hypothesis>=6.100",
            "import-linter>=2.1",
            "mypy>=1.13",
            *ONNX,
            "pandas-stubs",
            "pdoc>=15",
            "pytest>=8",
            "pytest-xdist>=3",
            "ruff>=0.8",
            "scipy-stubs; python_version >= '3.11'",
            "types-PyYAML",
        ],
        # The tests of pages, which also need Chromium.
        "browser": ["playwright>=1.45"],
        # tools/export.py; what it wrote runs with onnxruntime (or onnxruntime-gpu) alone.
        "export": ONNX,
        # tools/benchmark.py identities: counts switches.
        "benchmark": ["motmetrics>=1.4"],
        # detectron2 is on no package index: install it as its own page says,
        # https://detectron2.readthedocs.io/en/latest/tutorials/install.html
        # These are what its installation needs beside torch.
        "detectron2": ["setuptools<82", "wheel", "ninja"],
    },
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)

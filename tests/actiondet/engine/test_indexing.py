"""Indices are made once: by the first training, or ahead of it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

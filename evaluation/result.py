"""What all results of an evaluation do: they become a table, and write themselves."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from evaluation.files import atomic_path
from evaluation.tables import write_json

if TYPE_CHECKING:
    import pandas as pd


class Result(ABC):
    """A result with `columns`, one row per action."""

    @property
    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """What is known of every action, column by column."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """What `to_json` writes."""

    @property
    def per_class(self) -> pd.DataFrame:
        """`columns` as a table, one row per action."""
        import pandas as pd  # scoring tubes does without it, and starts in half the time

        table: pd.DataFrame = pd.DataFrame(self.columns)
        return table

    def to_json(self, path: str | os.PathLike[str], **more: Any) -> None:
        """Write `summary()` and further entries; an AP that is not defined is null."""
        write_json(path, {**self.summary(), **more})

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `per_class`, with a header."""
        with atomic_path(path) as temporary:
            self.per_class.to_csv(temporary, index=False, lineterminator="\n")

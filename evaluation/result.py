"""What all results of an evaluation do: they become a table or a picture, and write themselves.

`Result` is the base of all. Results that rank detections (`evaluation.ap_result`) have `mean_ap`, `curves` and `hits`,
too; what is derived from one of these shows those of its origin.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from evaluation.files import atomic_path
from evaluation.tables import write_json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Result(ABC):
    """A result with a table, `per_class`, that writes itself (`to_json`, `to_csv`) and draws itself (`plot`).

    Columns that mean the same have the same names in all results: id, name, type, ap, truths, detections and recall.
    """

    @property
    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """What is known of every action, column by column."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """What `to_json` writes."""

    @abstractmethod
    def plot(self, path: str | os.PathLike[str] | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw the result.

        Args:
            path: a file to write; its suffix chooses the format.
            axes: what to draw on; None makes a picture.

        Returns:
            The axes.

        Raises:
            InputError: a suffix that matplotlib cannot write.
        """

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

"""A column of names as places in a list of the different ones, so that millions of rows of few videos stay small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

RowChoice = slice | npt.NDArray[np.bool_] | npt.NDArray[np.integer]
"""A slice, an (N,) mask, or places of rows."""


class NameColumn:
    """N names. It holds what a pandas Categorical holds, without pandas, whose import takes longer than most files.

    Choosing rows gives a column, choosing one row a name; comparing with a name gives a mask.

    Args:
        codes: (N,) place of every row's name in `categories`.
        categories: (K,) the names that there are, each once.

    Attributes:
        codes: (N,) int32.
        categories: (K,) array of str.

    Example:
        >>> from evaluation import DetectionRows
        >>> rows = DetectionRows.from_arrays(video=["a", "b"], time=902, boxes=[[0, 0, 1, 1]] * 2, labels=1, scores=0.5)
        >>> rows.video
        NameColumn(2 rows, 2 names)
        >>> rows.video.codes.tolist(), rows.video.categories.tolist(), list(rows.video)
        ([0, 1], ['a', 'b'], ['a', 'b'])
        >>> rows[rows.video == "b"]
        DetectionRows(1 rows, 2 videos)
    """

    __slots__ = ("categories", "codes")
    __hash__ = None  # type: ignore[assignment]  # comparing gives a mask

    def __init__(self, codes: npt.NDArray[np.integer], categories: Sequence[str] | npt.NDArray[np.object_]) -> None:
        self.codes = np.asarray(codes, dtype=np.int32)
        names = np.empty(len(categories), dtype=object)
        names[:] = list(categories)
        self.categories: npt.NDArray[np.object_] = names

    @classmethod
    def of(cls, column: NameColumn | pd.Categorical) -> NameColumn:
        """The same names, of a column of either kind."""
        return column if isinstance(column, cls) else cls(np.asarray(column.codes), list(column.categories))

    @classmethod
    def of_names(cls, names: Sequence[str]) -> NameColumn:
        """A column of N names; its categories are in the order in which they first appear."""
        place = {name: code for code, name in enumerate(dict.fromkeys(names))}
        return cls(np.array([place[name] for name in names], dtype=np.int32), list(place))

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return f"NameColumn({len(self)} rows, {len(self.categories)} names)"

    @overload
    def __getitem__(self, rows: int | np.integer) -> str: ...
    @overload
    def __getitem__(self, rows: RowChoice) -> NameColumn: ...
    def __getitem__(self, rows: int | np.integer | RowChoice) -> str | NameColumn:
        codes = self.codes[rows]
        return NameColumn(codes, self.categories) if isinstance(codes, np.ndarray) else str(self.categories[codes])

    def __iter__(self) -> Iterator[str]:
        return iter(self.categories[self.codes].tolist())

    def __eq__(self, other: object) -> Any:
        """(N,) which rows have a name, or the same name as the rows of another column."""
        return self.__array__() == (other if isinstance(other, str) else np.asarray(other, dtype=object))

    def __ne__(self, other: object) -> Any:
        """(N,) which rows have another name."""
        return ~(self == other)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self.categories[self.codes].astype(dtype or object, copy=False)

    def remove_unused_categories(self) -> NameColumn:
        """The same rows with the names alone that some row has."""
        used = np.unique(self.codes)
        return NameColumn(np.searchsorted(used, self.codes), self.categories[used])

    def to_pandas(self) -> pd.Categorical:
        """The same as a pandas Categorical."""
        import pandas as pd  # scoring does without it, and starts in half the time

        return pd.Categorical.from_codes(self.codes, pd.Index(self.categories.tolist(), dtype="object"))

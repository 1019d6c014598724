"""AVA's truth files read leniently: a row with a fault stays, with its line, so that every fault can be counted."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from data_tools.check_dataset.findings import Report
from evaluation.boxes import BORDER, leaves_frame
from evaluation.errors import InputError
from evaluation.formats.ava import read_ava_csv
from evaluation.row_values import LARGEST_TIME, LARGEST_UNIT_COORDINATE, moments_of

BOX = ["x1", "y1", "x2", "y2"]
_NUMBERS = ["time", *BOX, "label", "person"]
_NAMES = ["video", *_NUMBERS, "beyond"]


def read_rows(path: str, report: Report) -> pd.DataFrame | None:
    """Read a truth file as far as it can be understood.

    Returns:
        columns video, moment (microseconds), x1 ... y2, label, person (-1 unknown), line (from 1) of the sound rows,
        `label` being -1 where a row names a moment without anybody; None if nothing can be read.
    """
    before = len(report.findings)
    text = _read_text(path, report)
    if text is None:
        return None
    table = _check_numbers(path, text, report)
    if len(report.findings) == before:
        try:
            read_ava_csv(path)  # the reader of training has the last word
        except (InputError, OSError) as fault:
            report.error("truth-unreadable", path, str(fault), "correct this row; training would stop here")
    return table


def _read_text(path: str, report: Report) -> pd.DataFrame | None:
    if not Path(path).is_file():
        report.error("file-missing", path, "the file does not exist", "give the path of an AVA CSV")
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # too many columns are reported row by row
            text = pd.read_csv(
                path,
                header=None,
                names=_NAMES,
                index_col=False,
                dtype={"video": str},
                keep_default_na=False,
                na_values={name: [""] for name in _NAMES},
                skip_blank_lines=False,
                low_memory=False,
            )
    except pd.errors.EmptyDataError:
        text = pd.DataFrame(columns=_NAMES)
    except (pd.errors.ParserError, UnicodeDecodeError, csv.Error) as fault:
        report.error("truth-unreadable", path, f"no table of commas: {fault}", "expected video,time,x1,y1,x2,y2,action")
        return None
    text["line"] = np.arange(1, len(text) + 1)
    text = text[text[_NAMES].notna().any(axis=1)]
    if len(text) == 0:
        report.error("file-empty", path, "the file is empty", "expected rows video,time,x1,y1,x2,y2,action,person")
        return None
    if text["time"].isna().all():
        first = str(text["video"].iloc[0])
        name = next((n for c, n in {";": "semicolons", "\t": "tabs", " ": "spaces"}.items() if c in first), None)
        what = f"is separated by {name}" if name else "has one column"
        report.error("csv-separator", f"{path}, line 1", f"the file {what}", "separate the columns by commas")
        return None
    result: pd.DataFrame = text
    return result


def _check_numbers(path: str, text: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Turn columns into numbers; rows that hold none are reported and left out."""
    table = text[["video", "line"]].copy()
    table["raw"] = text["video"]
    for name in _NUMBERS:
        table[name] = pd.to_numeric(text[name], errors="coerce").replace([np.inf, -np.inf], np.nan)
    bad_time = ~(table["time"].abs() <= LARGEST_TIME)
    header = bad_time & (table["line"] == table["line"].min()) & text["time"].notna() & table["x1"].isna()
    if header.any():
        report.error("csv-header", f"{path}, line 1", "the file begins with a header", "delete the line; AVA has none")
    _report_rows(report, "time-not-a-number", path, text, bad_time & ~header, "time", "expected seconds")
    no_name = text["video"].isna()
    _report_rows(report, "video-not-named", path, text, no_name, "video", "expected the video's name in column 1")
    empty = text[[*BOX, "label", "person"]].isna().all(axis=1)
    broken = table[BOX].isna().any(axis=1) & ~empty & ~bad_time
    _report_rows(report, "box-not-a-number", path, text, broken, BOX, "expected four unit coordinates, 0.5 not 0,5")
    label = table["label"]
    no_id = ((label != np.rint(label)) | (label < 0)) & ~empty & ~bad_time
    _report_rows(report, "label-not-an-id", path, text, no_id, "label", "expected the id of one action (an integer)")
    persons = table["person"]
    strange = (persons != np.rint(persons)) & text["person"].notna() & ~bad_time
    _report_rows(
        report, "person-not-an-id", path, text, strange, "person", "expected an integer (is this a file of detections?)"
    )
    _report_rows(report, "csv-columns", path, text, text["beyond"].notna(), "beyond", "expected 7 or 8 columns")
    kept = table[~(bad_time | broken | no_id | no_name)].copy()
    kept["moment"] = moments_of(kept["time"].to_numpy(dtype=np.float64))
    kept["label"] = kept["label"].fillna(-1).astype(np.int64)
    kept["person"] = kept["person"].fillna(-1).round().astype(np.int64)
    return _check_boxes(path, kept, report)


def _report_rows(
    report: Report,
    code: str,
    path: str,
    text: pd.DataFrame,
    wrong: pd.Series[bool],
    column: str | list[str],
    remedy: str,
) -> None:
    """Report the rows where `wrong`, by the first of them."""
    if wrong.any():
        row = text[wrong].iloc[0]
        shown = row[column] if isinstance(column, str) else ",".join(map(str, row[column]))
        report.error(code, f"{path}, line {row['line']}", f"'{shown}' ({int(wrong.sum())} rows)", remedy)


def _check_boxes(path: str, table: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Report boxes in pixels, as corner and size, inside out, outside of the frame, and without area."""
    boxed = table[table["label"] >= 0]
    boxes = boxed[BOX].to_numpy(dtype=np.float64)
    x1, y1, x2, y2 = boxes.T
    pixels = (np.abs(boxes) > LARGEST_UNIT_COORDINATE).any(axis=1)
    inverted = (x1 > x2) | (y1 > y2)
    as_sizes = (x1 + x2 <= 1 + BORDER) & (y1 + y2 <= 1 + BORDER)

    def note(code: str, wrong: np.ndarray[tuple[int], np.dtype[np.bool_]], what: str, remedy: str) -> None:
        if wrong.any():
            row = boxed[wrong].iloc[0]
            box = ",".join(f"{row[name]:g}" for name in BOX)
            report.error(code, f"{path}, line {row['line']}", f"box {box} {what} ({int(wrong.sum())} rows)", remedy)

    remedy = "divide x by the frame's width and y by its height"
    note("box-in-pixels", pixels, "looks like pixels", remedy)
    inside_out = inverted & ~pixels
    if inside_out.sum() > 1 and inside_out.mean() > 0.02 and as_sizes[~pixels].mean() > 0.95:
        note("box-xywh", inside_out, "looks like corner and size", "write x1,y1,x2,y2: x2 = x1 + width")
    else:
        note("box-inverted", inside_out, "is inside out", "expected x1 <= x2 and y1 <= y2")
    note("box-outside", leaves_frame(boxes) & ~pixels & ~inverted, "leaves the frame", "clip it to 0..1")
    flat = ((x1 == x2) | (y1 == y2)) & ~pixels
    note("box-without-area", flat, "has no area", "delete it, or draw it again; nothing can ever match it")
    bad = pd.Series(pixels | inverted | flat, index=boxed.index)
    sound: pd.DataFrame = table.drop(index=bad.index[bad]).reset_index(drop=True)
    return sound

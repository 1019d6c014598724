"""AVA's CSV files: the dialects that exist, and what is said of files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InputError
from evaluation.formats.ava import (
    read_ava_csv,
    read_ava_results,
    read_excluded,
    write_ava_csv,
    write_ava_results,
    write_excluded,
)
from evaluation.records import FrameKey


def written(folder: Path, *lines: str, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.mark.parametrize(
    "line",
    [
        "-v_,902,0.1,0.2,0.3,0.4,12,3",
        "-v_,0902,0.1,0.2,0.3,0.4,12,3",
        "-v_,902.0,0.1,0.2,0.3,0.4,12,3.0000",
        "-v_,902.000000,.1,.2,.3,.4,12,3",
        "-v_,902, 0.1,0.20, 0.3000000000000000,4e-1,12,3",
        '"-v_",902,0.1,0.2,0.3,0.4,12,3',
        "-v_,902.0000001,0.1,0.2,0.3,0.4,12,3",
    ],
)
def test_every_dialect_of_a_truth_row_reads_the_same(tmp_path: Path, line: str) -> None:
    truth = read_ava_csv(written(tmp_path, line))
    assert list(truth.video) == ["-v_"]
    assert truth.moment.tolist() == [902_000_000]
    assert truth.boxes.tolist() == [[0.1, 0.2, 0.3, 0.4]]
    assert truth.labels.tolist() == [12]
    assert truth.persons.tolist() == [3]
    assert truth.boxes.dtype == np.float64
    assert truth.labels.dtype == truth.persons.dtype == truth.moment.dtype == np.int64


def test_the_real_samples_are_read(shared: Path) -> None:
    real = shared / "reference" / "evaluation" / "real"
    sample = read_ava_csv(real / "mma_ava_dataset" / "ava_sample.csv")
    assert len(sample) == 8
    assert sample.labels.tolist() == [12, 17, 79, 12, 17, 12, 74, 80]
    assert list(sample.video.categories) == ["0f39OWEqJ24", "_-Z6wFjXtGQ"]
    results = read_ava_results(real / "mma_eval_detection" / "pred.csv")
    assert len(results) == 30
    assert results.scores[:2].tolist() == [0.655, 0.949]
    excluded = read_excluded(real / "ava_meta" / "ava_val_excluded_timestamps_v2.2.csv")
    assert len(excluded) == 37
    assert FrameKey("914yZXz-iRs", 1_751_000_000) in excluded


def test_rows_of_two_columns_are_moments_where_nobody_is(tmp_path: Path) -> None:
    truth = read_ava_csv(written(tmp_path, "v,902", "v,903,0.1,0.2,0.3,0.4,12,0", "w,0904.5"))
    assert truth.empty_moments == (FrameKey("v", 902_000_000), FrameKey("w", 904_500_000))
    assert truth.moment.tolist() == [903_000_000]
    assert len(read_ava_results(written(tmp_path, "v,902", "v,903,0.1,0.2,0.3,0.4,12,0.5"))) == 1


def test_rows_of_seven_columns_have_no_person(tmp_path: Path) -> None:
    assert read_ava_csv(written(tmp_path, "v,902,0,0,1,1,12")).persons.tolist() == [-1]


def test_results_without_scores_count_one_and_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "v,902,0,0,1,1,12", "v,902,0,0,1,1,12,0.25")
    with pytest.warns(UserWarning, match=r"file\.csv: 1 rows have no score in column 8 and count 1\.0"):
        assert read_ava_results(path).scores.tolist() == [1.0, 0.25]


def test_scores_and_boxes_are_the_floats_that_python_reads(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    texts = [f"{value:.17f}" for value in rng.random(300)] + [repr(value) for value in rng.random(300).tolist()]
    rows = read_ava_results(written(tmp_path, *(f"v,902,0.1,0.2,{text},0.9,1,{text}" for text in texts)))
    assert rows.scores.tolist() == [float(text) for text in texts]
    assert rows.boxes[:, 2].tolist() == [float(text) for text in texts]


def test_rows_of_several_chunks_keep_their_order_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.formats.csv_columns._CHUNK_ROWS", 3)
    lines = [f"{name},{902 + i},0.1,0.2,0.3,0.4,{i + 1},0.{i}" for i, name in enumerate("bacabdca")]
    rows = read_ava_results(written(tmp_path, *lines))
    assert list(rows.video) == list("bacabdca")
    assert rows.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (rows.moment // 1_000_000 - 902).tolist() == list(range(8))


def test_a_moment_beyond_microseconds_is_rounded_as_the_official_key(tmp_path: Path) -> None:
    lines = [f"v,{time},0,0,1,1,1,0" for time in ("902.0000005", "902.0000015", "902.1234567", "0.0000004")]
    moments = read_ava_csv(written(tmp_path, *lines)).moment
    official = [int(f"{float(line.split(',')[1]):.6f}".replace(".", "")) for line in lines]
    assert moments.tolist() == official


TRUTH_FAULTS = {
    "a missing column": ("v,902,0.1,0.2,0.3,0.4", r"6 columns; expected video,time"),
    "too many columns": ("v,902,0.1,0.2,0.3,0.4,1,0,7", r"9 columns; expected video,time"),
    "a wrong separator": ("v;902;0.1;0.2;0.3;0.4;1;0", r"1 columns; expected .*separated by semicolons: replace"),
    "tabs": ("v\t902\t0.1\t0.2\t0.3\t0.4\t1\t0", r"separated by tabs"),
    "a header": ("video_id,timestamp,x1,y1,x2,y2,action,person", r'time "timestamp" .*a header line\? .*delete it'),
    "NaN": ("v,902,0.1,nan,0.3,0.4,1,0", r'y1 "nan" in column 4 is not a number'),
    "an empty cell": ("v,902,0.1,,0.3,0.4,1,0", r'y1 "" in column 4 is not a number'),
    "infinity": ("v,902,0.1,0.2,inf,0.4,1,0", r'x2 "inf" in column 5 is not a number'),
    "a word": ("v,902,0.1,0.2,0.3,x,1,0", r'y2 "x" in column 6 is not a number'),
    "pixels": ("v,902,12,20,320,240,1,0", r"x1 = 12 in column 3 looks like pixels; expected unit boxes"),
    "a box inside out": ("v,902,0.3,0.2,0.1,0.4,1,0", r"box 0\.3,0\.2,0\.1,0\.4 is inside out"),
    "a label of words": ("v,902,0.1,0.2,0.3,0.4,stand,0", r'label "stand" in column 7 is not an action id'),
    "half a label": ("v,902,0.1,0.2,0.3,0.4,1.5,0", r'label "1\.5" in column 7 is not an action id'),
    "no label": ("v,902,0.1,0.2,0.3,0.4,,0", r'label "" in column 7'),
    "a negative label": ("v,902,0.1,0.2,0.3,0.4,-1,0", r'label "-1" in column 7'),
    "a score for a person": ("v,902,0.1,0.2,0.3,0.4,1,0.87", r'person "0\.87" in column 8.*file of detections\?'),
    "a named person": ("v,902,0.1,0.2,0.3,0.4,1,Q2", r'person "Q2" in column 8 is not an integer'),
    "no video": (",902,0.1,0.2,0.3,0.4,1,0", r"no video name in column 1"),
    "no time": ("v,,0.1,0.2,0.3,0.4,1,0", r'time "" in column 2'),
}


@pytest.mark.parametrize("fault", TRUTH_FAULTS)
def test_a_faulty_truth_row_is_named_with_file_and_line(tmp_path: Path, fault: str) -> None:
    line, message = TRUTH_FAULTS[fault]
    good = "v,902,0.1,0.2,0.3,0.4,1,0"
    path = written(tmp_path, good, good, line, good)
    with pytest.raises(InputError, match=rf"^{path}, line 3: .*{message}"):
        read_ava_csv(path)


RESULT_FAULTS = {
    "a missing column": ("v,902,0.1,0.2,0.3,0.4", r"6 columns; expected video,time,x1,y1,x2,y2,action,score"),
    "too many columns": ("v,902,0.1,0.2,0.3,0.4,1,0.5,7", r"9 columns"),
    "a NaN score": ("v,902,0.1,0.2,0.3,0.4,1,nan", r'score "nan" in column 8 is not a finite number'),
    "an infinite score": ("v,902,0.1,0.2,0.3,0.4,1,-inf", r'score "-inf" in column 8'),
    "pixels": ("v,902,12,20,320,240,1,0.5", r"looks like pixels"),
    "spaces": ("v 902 0.1 0.2 0.3 0.4 1 0.5", r"separated by spaces"),
}


@pytest.mark.parametrize("fault", RESULT_FAULTS)
def test_a_faulty_result_row_is_named_with_file_and_line(tmp_path: Path, fault: str) -> None:
    line, message = RESULT_FAULTS[fault]
    path = written(tmp_path, "v,902,0.1,0.2,0.3,0.4,1,0.5", line)
    with pytest.raises(InputError, match=rf"^{path}, line 2: .*{message}"):
        read_ava_results(path)


def test_a_file_of_too_many_columns_throughout_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, *["v,902,0.1,0.2,0.3,0.4,1,0.5,7"] * 3)
    with pytest.raises(InputError, match="line 1: 9 columns"):
        read_ava_results(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "video.csv"
    path.write_bytes(bytes(range(128, 256)) * 10)
    with pytest.raises(InputError, match=r"video\.csv: not a text file; expected comma-separated rows"):
        read_ava_csv(path)


def test_an_excluded_row_with_more_than_two_columns_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "v,902", "v,903,0.1,0.2,0.3,0.4,1,0")
    with pytest.raises(InputError, match=rf"^{path}, line 2: 8 columns; expected video,time"):
        read_excluded(path)


def test_an_empty_truth_file_is_refused_and_empty_others_are_empty(tmp_path: Path) -> None:
    for content in ("", "\n\n"):
        path = tmp_path / "empty.csv"
        path.write_text(content)
        with pytest.raises(InputError, match=r"empty\.csv: the truth file is empty"):
            read_ava_csv(path)
        assert len(read_ava_results(path)) == 0
        assert read_excluded(path) == frozenset()


@pytest.mark.parametrize("read", [read_ava_csv, read_ava_results, read_excluded])
def test_a_missing_file_and_a_directory_are_told_by_the_system(tmp_path: Path, read: object) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "no.csv")  # type: ignore[operator]
    with pytest.raises(IsADirectoryError):
        read(tmp_path)  # type: ignore[operator]


def test_truth_written_and_read_back_is_the_same(tmp_path: Path) -> None:
    lines = ["NA,902,0.1,0.2,0.30000000000000004,0.4,12,3", "w,1000.25,0,0,1,1,80,-1", "w,12"]
    truth = read_ava_csv(written(tmp_path, *lines))
    write_ava_csv(tmp_path / "again.csv", truth)
    assert (tmp_path / "again.csv").read_text().splitlines() == [
        "NA,0902,0.1,0.2,0.30000000000000004,0.4,12,3",
        "w,1000.25,0.0,0.0,1.0,1.0,80,-1",
        "w,0012",
    ]
    again = read_ava_csv(tmp_path / "again.csv")
    assert list(again.video) == list(truth.video)
    assert np.array_equal(again.boxes, truth.boxes)
    assert np.array_equal(again.moment, truth.moment)
    assert again.empty_moments == truth.empty_moments


def test_results_written_and_read_back_are_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    boxes = rng.random((50, 4)).astype(np.float32)
    lines = [f"v{i % 3},{900 + i},{','.join(map(str, b))},{i + 1},{rng.random()}" for i, b in enumerate(boxes.tolist())]
    rows = read_ava_results(written(tmp_path, *lines))
    write_ava_results(tmp_path / "again.csv", rows)
    again = read_ava_results(tmp_path / "again.csv")
    assert list(again.video) == list(rows.video)
    for name in ("moment", "boxes", "labels", "scores"):
        assert np.array_equal(getattr(again, name), getattr(rows, name)), name


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = read_ava_results(written(tmp_path, "v,902,0,0,1,1,1,0.5"))
    target = written(tmp_path, "old", name="target.csv")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="disk full"):
        write_ava_results(target, rows)
    assert target.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.csv", "target.csv"]


def test_excluded_moments_written_and_read_back_are_the_same(tmp_path: Path) -> None:
    keys = frozenset({FrameKey("b", 902_000_000), FrameKey("a", 1_000_500_000), FrameKey("a", 903_000_000)})
    write_excluded(tmp_path / "excluded.csv", keys)
    assert (tmp_path / "excluded.csv").read_text() == "a,0903\na,1000.5\nb,0902\n"
    assert read_excluded(tmp_path / "excluded.csv") == keys


@pytest.mark.parametrize("others", [[], ["a_word"]])
@pytest.mark.parametrize(
    "names", [["0001", "1", "01"], ["1e5", "100000.0", "100000"], ["1.50", "1.5", "-0", "007", "nan"]]
)
def test_names_that_look_like_numbers_stay_text(tmp_path: Path, names: list[str], others: list[str]) -> None:
    names = [*names, *others]
    truth = read_ava_csv(written(tmp_path, *(f"{name},900,0.1,0.1,0.5,0.5,1" for name in names)))
    assert list(truth.video) == names
    excluded = read_excluded(written(tmp_path, *(f"{name},900" for name in names), name="excluded.csv"))
    assert {key.video for key in excluded} == set(names)
    write_ava_csv(tmp_path / "again.csv", truth)
    assert list(read_ava_csv(tmp_path / "again.csv").video) == names

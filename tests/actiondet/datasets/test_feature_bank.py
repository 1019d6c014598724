"""What of a feature bank lies around a moment.

Authority of the first test: what MMAction2's LFB sampled from the bank in `mma_lfb_head.pt`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actiondet.datasets.feature_bank import (
    BankReader,
    BankWindow,
    FeatureBank,
    VideoFeatures,
    half,
    open_bank,
    write_feature_bank,
)
from evaluation.errors import InputError

SECOND = 1_000_000


def features(video: str, seconds: list[float], scores: list[float] | None = None) -> VideoFeatures:
    """Persons whose features are their numbers, from 1."""
    count = len(seconds)
    return VideoFeatures(
        video,
        times=(np.array(seconds) * SECOND).astype(np.int64),
        moments=np.arange(count),
        boxes=np.tile(np.float32([0, 0, 1, 1]), (count, 1)),
        scores=np.array(scores or np.linspace(0.9, 0.5, count), dtype=np.float32),
        features=np.repeat(np.arange(1, count + 1, dtype=np.float16)[:, None], 3, axis=1),
    )


@pytest.fixture
def bank(tmp_path: Path) -> FeatureBank:
    videos = [features("a", [0, 1, 1, 1, 4]), features("b/c", [2, 2.5])]
    write_feature_bank(tmp_path / "bank.safetensors", videos, {"weights": "w.pt"})
    return FeatureBank(tmp_path / "bank.safetensors")


@pytest.mark.parametrize(
    ("video", "second", "expected"),
    [
        ("vidA", 905, [0, 0, 0, 3, 1, 0, 5, 2, 0, 0, 5, 0]),
        ("vidA", 914, [0, 5, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("vidB", 1001, [0, 0, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0]),
    ],
)
def test_seconds_are_filled_as_by_the_toolkit(video: str, second: int, expected: list[int]) -> None:
    """The numbers are those of filled slots a second in the fixture's `sampled`, window 12, 5 slots."""
    counts = {
        "vidA": {902: 3, 903: 1, 905: 7, 906: 2, 909: 5, 915: 4},
        "vidB": {1000: 2, 1004: 6},
    }
    times = np.repeat(*map(np.array, zip(*counts[video].items(), strict=True))) * SECOND
    window = BankWindow(window=12, persons=5)
    _, slots = window.choose(times, np.ones(len(times)), second * SECOND)
    assert np.bincount(slots // 5, minlength=12).tolist() == expected
    assert len(set(slots.tolist())) == len(slots)


def test_a_memory_holds_what_is_around(bank: FeatureBank) -> None:
    reader = BankReader(bank, BankWindow(window=4, persons=2))
    found, filled = reader.around("a", 2 * SECOND)  # seconds 0 to 3
    assert filled.reshape(4, 2).tolist() == [[True, False], [True, True], [False, False], [False, False]]
    assert found[:, 0].tolist() == [1, 0, 2, 3, 0, 0, 0, 0]
    assert found.dtype == np.float16


def test_the_past_ends_with_the_moment(bank: FeatureBank) -> None:
    reader = BankReader(bank, BankWindow(window=4, persons=3, reach="past"))
    found, _ = reader.around("a", SECOND)  # seconds -2 to 1
    assert found[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 3, 4]
    assert BankWindow(window=4, reach="past").look_ahead < SECOND / 2


def test_moments_between_seconds_belong_to_the_nearest(bank: FeatureBank) -> None:
    reader = BankReader(bank, BankWindow(window=3, persons=1))
    found, filled = reader.around("b/c", round(2.2 * SECOND))  # -0.2 s and 0.3 s, both nearest to it
    assert filled.tolist() == [False, True, False]
    assert found[1, 0] == 1


def test_training_draws_other_persons_and_repeats_them_for_the_same_seed(bank: FeatureBank) -> None:
    reader = BankReader(bank, BankWindow(window=1, persons=1))
    drawn = [int(reader.around("a", SECOND, np.random.default_rng(seed))[0][0, 0]) for seed in range(20)]
    assert set(drawn) == {2, 3, 4}
    assert drawn == [int(reader.around("a", SECOND, np.random.default_rng(seed))[0][0, 0]) for seed in range(20)]
    assert int(reader.around("a", SECOND)[0][0, 0]) == 2  # the best score


def test_a_video_that_is_not_in_the_bank_is_remembered_as_nothing(bank: FeatureBank) -> None:
    found, filled = BankReader(bank, BankWindow(window=2, persons=2)).around("d", 0)
    assert found.shape == (4, 3)
    assert not filled.any()


def test_what_made_a_bank_is_kept(bank: FeatureBank) -> None:
    assert bank.about == {"weights": "w.pt"}
    assert (len(bank), bank.channels, "b/c" in bank, "d" in bank) == (7, 3, True, False)


def test_other_files_are_refused(tmp_path: Path, bank: FeatureBank) -> None:
    content = bank.path.read_bytes()
    (tmp_path / "part.safetensors").write_bytes(content[:-3])
    with pytest.raises(InputError, match=r"part\.safetensors: a damaged feature bank"):
        FeatureBank(tmp_path / "part.safetensors")
    (tmp_path / "text.safetensors").write_text("no bank at all")
    with pytest.raises(InputError, match=r"text\.safetensors: a damaged feature bank"):
        FeatureBank(tmp_path / "text.safetensors")
    from safetensors.numpy import save_file

    save_file({"weights": np.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="not a feature bank; expected a file of `actiondet build-bank`"):
        FeatureBank(tmp_path / "weights.safetensors")


def test_a_bank_of_other_features_is_refused(bank: FeatureBank) -> None:
    window = BankWindow(window=2)
    with pytest.raises(InputError, match=r"holds 3 numbers of a person, but model\.head\.bank\.channels is 4; set it"):
        open_bank(str(bank.path), window, channels=4, setting="data.train.bank")
    with pytest.raises(InputError, match=r"data\.train\.bank: the network has a feature bank"):
        open_bank(None, window, channels=3, setting="data.train.bank")
    with pytest.raises(InputError, match="`actiondet build-bank` makes it"):
        open_bank("nowhere", window, channels=3, setting="data.train.bank")


def test_features_that_float16_cannot_hold_are_refused() -> None:
    with pytest.raises(InputError, match="not finite in float16"):
        half(np.array([[1e6]]), of="video 'a'")

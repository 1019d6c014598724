"""Finished parts of an interrupted job: each is whole, belongs to its settings, and is found by every process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actiondet import parts as parts_module
from actiondet.parts import PartStore, file_stamp
from evaluation.errors import InputError


def store_of(folder: Path, settings: object = None, files: tuple[Path, ...] = ()) -> PartStore[list[int]]:
    return PartStore(
        folder / "result.pkl",
        settings,
        files,
        pack=lambda part: {"numbers": np.array(part, dtype=np.int64)},
        unpack=lambda arrays: arrays["numbers"].tolist(),
    )


def test_parts_come_back_whole_and_their_folder_goes_with_the_last_of_them(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    assert not store.has("a/b.1")
    assert not store.folder.exists()
    store.put("a/b.1", [1, 2])
    store.put("c", [])
    again = store_of(tmp_path)
    assert again.has("a/b.1")
    assert again.has("c")
    assert not again.has("a")
    assert again.get("a/b.1") == [1, 2]
    assert again.get("c") == []
    assert again.faults(["a/b.1", "c"]) == {}
    again.remove()
    assert list(tmp_path.iterdir()) == []
    again.remove()


def test_a_part_that_failed_is_finished_until_the_next_run_tries_it_again(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.put_fault("é", "é.mp4: cut off")
    assert store.has("é")
    with pytest.raises(InputError, match=r"^é\.mp4: cut off$"):
        store.faults(["é"])
    store.put("a", [1])
    assert store.faults(["a", "é"]) == {"é": "é.mp4: cut off"}
    store.forget_faults(["é", "another"])
    assert not store.has("é")
    assert store.faults(["a", "é"]) == {}


def test_other_settings_and_other_files_have_other_parts(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"one")
    stores = [store_of(tmp_path, {"every": 1, "start": 0}, (weights,)), store_of(tmp_path, {"every": 2}, (weights,))]
    stores.append(store_of(tmp_path, {"start": 0, "every": 1}, (weights,)))  # the same, in another order
    weights.write_bytes(b"two")
    stores.append(store_of(tmp_path, {"every": 1, "start": 0}, (weights,)))
    stores[0].put("a", [1])
    assert [store.has("a") for store in stores] == [True, False, True, False]
    stores[3].put("a", [3])
    stores[3].remove()
    assert stores[0].get("a") == [1]
    assert stores[0].folder.name.startswith("result.pkl.")
    assert stores[0].folder.name.endswith(".parts")


def test_a_part_stays_in_the_folder_whatever_its_video_is_called(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for key in ("../../a", "/b/c", "d/../e"):
        store.put(key, [1])
        assert store.get(key) == [1]
    assert [path.parent for path in tmp_path.rglob("*.npz")].count(store.folder) == 1
    assert list(tmp_path.iterdir()) == [store.folder]


def test_a_part_that_was_being_written_does_not_count(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.folder.mkdir()
    (store.folder / ".a.123.part.npz").write_bytes(b"PK half a file")
    assert not store.has("a")


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.folder.mkdir()
    (store.folder / "a.npz").write_bytes(b"PK half a file")
    with pytest.raises(InputError, match=r"a\.npz: damaged .* delete it"):
        store.get("a")


def test_one_process_waits_for_the_parts_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = store_of(tmp_path), store_of(tmp_path)
    finishing = [lambda: other.put("b", [2]), lambda: other.put_fault("c", "cut off")]
    monkeypatch.setattr(parts_module.time, "sleep", lambda seconds: finishing.pop(0)())
    store.put("a", [1])
    store.wait_for(["a", "b", "c"])
    assert finishing == []
    assert store.get("b") == [2]


def test_a_file_that_changed_or_is_gone_has_another_stamp(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    assert file_stamp(file) is None
    file.write_bytes(b"one")
    stamp = file_stamp(file)
    assert stamp is not None
    assert stamp[0] == 3
    file.write_bytes(b"three")
    assert file_stamp(file) != stamp

from __future__ import annotations

from actiondet.video.names import without_suffix, without_suffixes


def test_many_names_lose_their_suffixes_as_one_does() -> None:
    plain = ["a.mp4", "b/c.d.MKV", "b.mp4/e", "f", "g.txt", "h.mp4.avi", "i.mp", "", "j.webm"]
    assert without_suffixes(plain) == ["a", "b/c.d", "b.mp4/e", "f", "g.txt", "h.mp4", "i.mp", "", "j"]
    for unusual in (".mp4", "./a.mp4", "b/._c.avi", "d.mp4/", "e\0.mp4"):
        names = [*plain, unusual]
        assert without_suffixes(names) == [without_suffix(name) for name in names]
    assert without_suffixes([]) == []

import numpy as np
import pytest
import torch

from actiondet.data.resized_frames import resized_images
from actiondet.video.scaling import scaled_image


@pytest.mark.parametrize("size", [(108, 192), (72, 96), (57, 123), (192, 108), (31, 400), (64, 64), (500, 333)])
@pytest.mark.parametrize("short_side", [48, 64, 112, 7])
def test_pictures_are_resized_as_torch_does_it(size: tuple[int, int], short_side: int) -> None:
    image = np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), dtype=np.uint8)
    (expected,) = resized_images(image, (short_side,))
    found = scaled_image(image, short_side)
    assert found.shape == expected.shape
    if torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"):
        assert np.array_equal(found, expected)
    else:  # torch then rounds once, after both axes
        assert np.abs(found.astype(int) - expected).max() <= 1

"""Repeat-factor sampling: samples that show rare actions come more often than once an epoch. Pure arithmetic.

Gupta, Dollar and Girshick: LVIS, a dataset for large vocabulary instance segmentation (CVPR 2019), section 4.4.
"""

from __future__ import annotations

import math

import numpy as np

from evaluation.records import FloatArray, IntArray


def repeat_factors(samples: IntArray, labels: IntArray, count: int, threshold: float) -> FloatArray:
    """How often each sample comes in an epoch, on average.

    An action in the share f of the samples has the factor max(1, sqrt(threshold / f)); a sample has the largest factor
    of its actions, and 1 without any.

    Args:
        samples: (N,) which sample shows ...
        labels: (N,) ... which action; the same pair may be there several times.
        count: number of samples.
        threshold: actions in a smaller share of the samples are repeated.

    Returns:
        (count,) at least 1.
    """
    factors = np.ones(count, dtype=np.float64)
    pairs = np.unique(np.stack([samples, labels], axis=1), axis=0)
    _, actions, shown = np.unique(pairs[:, 1], return_inverse=True, return_counts=True)
    np.maximum.at(factors, pairs[:, 0], np.sqrt(threshold * count / shown)[actions.reshape(-1)])
    return factors


def epoch_length(factors: FloatArray) -> int:
    """Samples of every epoch: the sum of the factors, rounded up."""
    return math.ceil(float(factors.sum()) - 1e-6)  # less than a sum of a million factors errs by


def repeated_order(factors: FloatArray, random: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Draw the samples of one epoch.

    Each sample comes as often as its factor says, rounded down or up at random so that the mean is right. One random
    number rounds them all (systematic sampling), so that every epoch is equally long.

    Args:
        factors: (K,) of `repeat_factors`.
        random: where the order comes from.

    Returns:
        (L,) samples in random order, and (L,) which repetition each is, from 0; L is `epoch_length`.
    """
    order = random.permutation(len(factors))
    ends = np.floor(np.cumsum(factors[order]) + random.random()).astype(np.int64)
    counts = np.diff(ends, prepend=0)
    samples = np.repeat(order, counts)
    repetitions = np.arange(len(samples)) - np.repeat(np.cumsum(counts) - counts, counts)
    shuffled = np.resize(random.permutation(len(samples)), epoch_length(factors))  # may lack one, or have one too many
    return samples[shuffled].astype(np.int64), repetitions[shuffled].astype(np.int64)

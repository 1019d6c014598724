"""What `--weights published` stands for."""

from __future__ import annotations

from actiondet.downloads import download
from evaluation.errors import InputError

PUBLISHED = "published"


def choose_weights(weights: str, url: str | None) -> str:
    """What `--weights` stands for: a file as it is, or for "published" the downloaded file of `url`.

    Raises:
        InputError: nothing is published for the configuration, or the download failed.
    """
    if weights != PUBLISHED:
        return weights
    if url is None:
        raise InputError(
            "--weights published: the configuration names no published weights for this (published.pretraining is what "
            "a training starts from, published.weights what is tested); give a file instead"
        )
    return str(download(url))

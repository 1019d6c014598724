"""Each film by itself: do its boxes fit its pictures, or would they if they were read in another way?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_tools.check_dataset.evidence import NAMES, FilmEvidence, fit_of
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.readings import CLOCKS
from evaluation.records import FloatArray

# A film is judged by so many moments at least, and held against so many other films.
_FEWEST, _OTHERS = 4, 6
# The other reading must explain what happens, and gain so much, and more where there are few moments.
_EXPLAINS, _GAIN, _GAIN_OF_ONE = 0.25, 0.03, 0.2
# Standard errors of the mean gain: beside other films, without them, and for "sure".
_LIKELY, _ALONE, _SURE = 1.5, 4.5, 3.0
# Share of the other films in which the reading may gain, too.
_COMMON = 0.1
# Shares of the fit that most films have: less fits nothing, more is right.
_POOR, _RECOVERS = 0.5, 0.6
# By so much the best of other films' pictures must fit better than another reading: the best of many is never bad.
_CLEARLY = 0.1
# Share of other films' boxes that fit as well, from which on a film's own boxes are strange to it.
_STRANGERS = 0.25


@dataclass(frozen=True)
class Better:
    """Another reading of a film's boxes, or its times, that fits its pictures better.

    Attributes:
        name: the reading.
        fit, now: mean correlation of boxes and pictures, read so and as they are.
        moments, better: how many were compared, and in how many of them the reading fits better.
        errors: the mean gain, in its standard errors.
    """

    name: str
    fit: float
    now: float
    moments: int
    better: int
    errors: float

    @property
    def gain(self) -> float:
        """How much better it fits."""
        return self.fit - self.now

    @property
    def is_sure(self) -> bool:
        """Whether chance is out of the question."""
        return self.errors > _SURE and self.better >= 0.75 * self.moments

    def __str__(self) -> str:
        return (
            f"boxes and pictures then correlate by {self.fit:.2f}, as they are by {self.now:.2f}; better at "
            f"{self.better} of {self.moments} moments: {'sure' if self.is_sure else 'likely'}"
        )


def compare(fits: FloatArray, fewest: int) -> list[Better | None]:
    """Hold every reading against the boxes as they are; None where fewer than `fewest` moments can be compared.

    Args:
        fits: (K, len(NAMES)) correlations, those of the boxes as they are in column 0.
        fewest: moments at which both are known.
    """
    found: list[Better | None] = []
    for place, name in enumerate(NAMES):
        both = fits[np.isfinite(fits[:, [0, place]]).all(axis=1)][:, [0, place]]
        if place == 0 or len(both) < fewest:
            found.append(None)
            continue
        gain = both[:, 1] - both[:, 0]
        # Few moments may agree by chance: their spread is not taken to be smaller than usual ones.
        error = max(float(gain.std(ddof=1)), 0.02) / np.sqrt(len(gain))
        now, fit = both.mean(axis=0).tolist()
        found.append(Better(name, fit, now, len(gain), int((gain > 0).sum()), float(gain.mean() / error)))
    return found


def judge_films(evidence: Sequence[FilmEvidence]) -> dict[str, Better]:
    """Find films whose boxes fit better when they are read in another way.

    Of all readings the one that gains most is taken. It is believed if it explains what happens (mean correlation
    above 0.25), if it gains 0.03 + 0.2 / n on the mean of n moments, so that less evidence needs a larger gain, if
    that is more than 1.5 standard errors, and if it loses in at least nine of ten other films: boxes that are drawn
    loosely, or pictures of people who pause, are the habit of a whole set and not the fault of one film. With fewer
    than 6 other films the gain must be 4.5 standard errors. On 68 toy films as they should be, none of the readings
    gains anything at all.

    Returns:
        The reading of each film in doubt, by its name.
    """
    compared = [compare(each.fits, _FEWEST) for each in evidence]
    gains = np.array([[np.nan if one is None else one.gain for one in film] for film in compared])
    found = {}
    for number, film in enumerate(compared):
        best = max((one for one in film if one is not None), key=lambda one: one.gain, default=None)
        if best is None or best.fit < _EXPLAINS or best.gain < _GAIN + _GAIN_OF_ONE / best.moments:
            continue
        others = np.delete(gains[:, NAMES.index(best.name)], number)
        others = others[np.isfinite(others)]
        if len(others) >= _OTHERS:
            believed = best.errors > _LIKELY and bool((others > 0).mean() <= _COMMON)
        else:
            believed = best.errors > _ALONE
        if believed:
            found[evidence[number].job.video] = best
    return found


def check_films(
    path: str, evidence: Sequence[FilmEvidence], everything: Sequence[FilmEvidence], report: Report
) -> None:
    """Report films whose boxes would fit if they were read in another way, and those whose boxes fit nothing.

    Args:
        path: the truth of the films, for messages.
        evidence: of its films.
        everything: of the films of all splits.
        report: takes what is found.
    """
    doubted = judge_films(everything)
    known = [each for each in everything if np.isfinite(each.fits[:, 0]).sum() >= _FEWEST]
    own = {each.job.video: float(np.nanmean(each.fits[:, 0])) for each in known}
    usual = float(np.median(list(own.values()))) if len(known) > _OTHERS else 0.0
    usual = usual if usual > _EXPLAINS else 0.0  # where the boxes of most films fit little, none stands out
    for film in evidence:
        video = film.job.video
        where, better, fit = f"{path}, '{video}'", doubted.get(video), own.get(video, np.nan)
        is_poor = usual > 0 and fit < _POOR * usual
        least = max(_RECOVERS * usual, 0.0 if better is None else better.fit + _CLEARLY)
        if is_poor and (home := _home(film, known, least=least)) is not None:
            report.error(
                "film-of-other-boxes",
                where,
                f"its boxes and pictures correlate by {fit:.2f}, but its boxes and the pictures of '{home[0]}' by "
                f"{home[1]:.2f}",
                "give each video its own annotations, or exchange the files",
            )
        elif better is not None and better.fit > _RECOVERS * usual:
            _say(where, better, report)
        elif is_poor and (as_well := _fit_as_well(film, fit, known)) >= _STRANGERS:
            report.warn(
                "film-of-other-boxes",
                where,
                f"its boxes and pictures correlate by {fit:.2f}, those of most films by {usual:.2f}; the boxes of "
                f"{as_well:.0%} of the other films would fit its pictures as well",
                "are these the annotations of another video, or is this another recording?",
            )


def _say(where: str, better: Better, report: Report) -> None:
    say = report.error if better.is_sure else report.warn
    if better.name in CLOCKS:
        say(
            "film-at-other-time",
            where,
            f"people move where the boxes are, but {better.name} in this video: {better}",
            "compare it with its annotations: was it cut at another place, or played at another speed?",
        )
    else:
        say(
            "film-elsewhere",
            where,
            f"people move where the boxes of this video would be if they were read as {better.name}: {better}",
            "expected boxes x1,y1,x2,y2 as fractions of these very pictures",
        )


def _fit_as_well(film: FilmEvidence, fit: float, known: Sequence[FilmEvidence]) -> float:
    """The share of other films whose boxes, moment by moment, fit the pictures of `film` at least as its own do."""
    others = [fit_of(other.job.boxes, film.activity) for other in known if other is not film]
    return float(np.mean([other >= fit for other in others]))


def _home(film: FilmEvidence, known: Sequence[FilmEvidence], *, least: float) -> tuple[str, float] | None:
    """The other film whose pictures the boxes of `film` fit best, better than `least`, and how well."""
    found = []
    for other in known:
        shared, mine, theirs = np.intersect1d(film.job.instants, other.job.instants, return_indices=True)
        if other is not film and len(shared) > max(_FEWEST, 0.7 * len(film.job.instants)):
            fit = fit_of([film.job.boxes[place] for place in mine.tolist()], other.activity[theirs])
            found.append((fit, other.job.video))
    fit, video = max(found, default=(0.0, ""))
    return (video, fit) if fit > least else None

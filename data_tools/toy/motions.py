"""How a toy person moves: every activity as curves over the frames of one scene.

Distances are in heights of the person, angles in radians, x grows to the right and y upward. Nobody faces
the way they walk: the poses of walking left are exactly the mirrored-in-time poses of walking right, so that
only the order of the frames distinguishes one from the other. Likewise every pose that a jump, a crouch, a spin or a
wave passes through is one in which someone else stands still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.records import FloatArray

Activity = Literal["stand", "stay_low", "walk", "jump", "crouch", "spin"]
ArmStyle = Literal["down", "hips", "out", "up", "both_up", "wave", "wave_both"]

ARM_STYLES: tuple[ArmStyle, ...] = ("down", "hips", "out", "up", "both_up")
ARM_ODDS = (0.60, 0.12, 0.12, 0.09, 0.07)
DEEPEST = 0.31
"""How far the hips sink in the deepest crouch."""


@dataclass
class Motion:
    """The pose of one person over F frames; the planner fills it stretch by stretch.

    Attributes:
        x: (F,) where the person stands, in frame heights from the left edge of the frame.
        lift: (F,) height of a jump.
        squat: (F,) 0 upright to 1 deepest.
        yaw: (F,) turn about the vertical; 0 shows the front, pi the back.
        feet: (F, 2, 2) sideways and upward displacement of both feet.
        arms: (F, 2, 3) raise of the upper arm (0 hangs, pi points up), raise of the forearm, swing along x.
    """

    x: FloatArray
    lift: FloatArray
    squat: FloatArray
    yaw: FloatArray
    feet: FloatArray
    arms: FloatArray

    @classmethod
    def at_rest(cls, frames: int) -> Motion:
        """Return a motion of `frames` frames in which nothing has happened yet."""
        x, lift, squat, yaw = np.zeros((4, frames))
        return cls(x, lift, squat, yaw, feet=np.zeros((frames, 2, 2)), arms=np.zeros((frames, 2, 3)))

    def soften(self, frames: int) -> None:
        """Average every curve but x over `frames` frames, so that one activity flows into the next."""
        for name in ("lift", "squat", "yaw", "feet", "arms"):
            curve = getattr(self, name)
            setattr(self, name, _running_mean(curve.reshape(len(curve), -1), frames).reshape(curve.shape))
        self.x = _running_mean(self.x[:, None], frames)[:, 0]


def _running_mean(columns: FloatArray, frames: int) -> FloatArray:
    padded = np.pad(columns, ((frames // 2, frames - 1 - frames // 2), (0, 0)), mode="edge")
    sums = np.cumsum(np.vstack([np.zeros((1, columns.shape[1])), padded]), axis=0)
    return np.asarray((sums[frames:] - sums[:-frames]) / frames)


@dataclass(frozen=True)
class Stretch:
    """What one person does during some seconds.

    Attributes:
        activity: what the body does.
        arms: what the arms do.
        direction: -1 left, 1 right; 0 unless walking.
        speed: heights of the person per second.
        tempo: repetitions per second of jump, crouch or spin.
        phase: (3,) where body, arms and gait start in their cycles.
        turn: yaw at which the person stands (for a spin: from which it starts).
        wave_tempo: swings of the waving hand per second.
        once: seconds from the beginning after which the body jumps, crouches or spins, or the arms go up, a single
            time and for a moment; None for activities that go on all the time.
    """

    activity: Activity
    arms: ArmStyle
    direction: int
    speed: float
    tempo: float
    phase: tuple[float, float, float]
    turn: float
    wave_tempo: float
    once: float | None = None


TEMPO = {"jump": (1.05, 1.4), "crouch": (0.75, 1.05), "spin": (0.65, 1.0), "walk": (0.95, 1.25)}
SPEED = (0.6, 1.0)
MOMENT = 0.4
"""Seconds that something takes which happens once."""


def random_stretch(rng: np.random.Generator, activity: Activity, direction: int, *, waving: bool = False) -> Stretch:
    """Draw how a person performs `activity`; everything but the activity has the same odds for all."""
    low, high = TEMPO.get(activity, (1.0, 1.0))
    sideways = rng.random() < 0.15 and not waving
    turn = (np.pi if rng.random() < 0.35 else 0.0) + (np.pi / 2 if sideways else 0.0) + rng.uniform(-0.5, 0.5)
    arms: ArmStyle = ARM_STYLES[int(rng.choice(len(ARM_STYLES), p=ARM_ODDS))]
    if waving:
        arms = "wave_both" if rng.random() < 0.6 else "wave"
    first, second, third = rng.uniform(0, 2 * np.pi, 3)
    return Stretch(
        activity=activity,
        arms=arms,
        direction=direction,
        speed=rng.uniform(*SPEED),
        tempo=rng.uniform(low, high) * (rng.choice([-1, 1]) if activity == "spin" else 1),
        phase=(float(first), float(second), float(third)),
        turn=float(turn),
        wave_tempo=rng.uniform(1.1, 1.5),
    )


def perform(motion: Motion, stretch: Stretch, start: int, stop: int, rate: float) -> None:
    """Write the curves of `stretch` into frames [start, stop) of `motion`; x is the planner's."""
    time = np.arange(stop - start) / rate
    span = slice(start, stop)
    cycle = 2 * np.pi * stretch.tempo * time + stretch.phase[0]
    motion.yaw[span] = stretch.turn
    motion.lift[span] = 0.0
    motion.squat[span] = 0.0
    if stretch.activity == "walk":
        motion.feet[span] = _gait(stretch, time)
    else:
        # One standing person in three has the feet apart as in the middle of a step.
        stance = 0.5 + 0.5 * np.cos(stretch.phase[2])
        motion.feet[span] = np.array([[0.13, 0.0], [-0.13, 0.0]]) * (max(0.0, 1.5 * stance - 0.5))
    if stretch.once is not None:
        _perform_once(motion, stretch, span, time)
    elif stretch.activity == "jump":
        motion.lift[span], motion.squat[span] = _hops(cycle / (2 * np.pi))
    elif stretch.activity == "crouch":
        motion.squat[span] = 0.5 - 0.5 * np.cos(cycle)
    elif stretch.activity == "stay_low":
        motion.squat[span] = 0.35 + 0.6 * (0.5 - 0.5 * np.cos(stretch.phase[0]))
    elif stretch.activity == "spin":
        motion.yaw[span] = stretch.turn + 2 * np.pi * stretch.tempo * time
    motion.arms[span] = _arms(stretch, time)


def _perform_once(motion: Motion, stretch: Stretch, span: slice, time: FloatArray) -> None:
    """Write what happens once, for a moment, to the body."""
    done, there = _once(stretch, time)
    if stretch.activity == "jump":
        motion.lift[span] = 0.3 * there
    elif stretch.activity == "crouch":
        motion.squat[span] = there
    elif stretch.activity == "spin":
        motion.yaw[span] = stretch.turn + 2 * np.pi * np.copysign(done, stretch.tempo)


def _once(stretch: Stretch, time: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how much of it is done, 0 to 1, and how far it goes at each time, 0 to 1 and back."""
    assert stretch.once is not None
    done = np.clip((time - stretch.once) / MOMENT + 0.5, 0, 1)
    return done, np.sin(np.pi * done)


def _gait(stretch: Stretch, time: FloatArray) -> FloatArray:
    """Return (F, 2, 2): the feet swing along x and rise while they swing forward."""
    cycle = 2 * np.pi * stretch.tempo * time + stretch.phase[2]
    step = stretch.speed / (4 * stretch.tempo)
    feet = np.empty((len(time), 2, 2))
    for foot, at in enumerate((cycle, cycle + np.pi)):
        feet[:, foot, 0] = stretch.direction * step * np.sin(at)
        feet[:, foot, 1] = 0.07 * np.maximum(np.cos(at), 0)
    return feet


def _hops(turns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return lift and squat of hop after hop: 45% of each on the ground, sinking and pushing off."""
    part = turns % 1.0
    air = np.clip((part - 0.45) / 0.55, 0, 1)
    ground = np.clip(part / 0.45, 0, 1)
    return 0.32 * 4 * air * (1 - air), np.where(part < 0.45, 0.45 * np.sin(np.pi * ground), 0.0)


def _arms(stretch: Stretch, time: FloatArray) -> FloatArray:
    """Return (F, 2, 3): raise of upper arm and forearm and swing along x, of both arms."""
    arms = np.empty((len(time), 2, 3))
    spread = 0.12 + 0.1 * np.sin(stretch.phase[1])
    arms[:] = (0.18 + spread, 0.25 + spread, 0.0)
    # Whoever holds arms up holds them as a person does who waves, at some moment of waving.
    tilt = np.full(len(time), np.sin(3 * stretch.phase[1]))
    if stretch.arms.startswith("wave"):
        tilt = np.sin(2 * np.pi * stretch.wave_tempo * time + stretch.phase[0])
    if stretch.arms == "hips":
        arms[:] = (0.75, -0.75, 0.0)
    elif stretch.arms == "out":
        arms[:] = (1.35 + spread, 1.4 + 2 * spread, 0.0)
    elif stretch.arms in ("both_up", "wave_both"):
        arms[:] = _raised(tilt)[:, None]
    elif stretch.arms in ("up", "wave"):
        arms[:, int(stretch.phase[1] > np.pi)] = _raised(tilt)
    if stretch.once is not None and stretch.arms.startswith("wave"):
        hanging = np.array((0.18 + spread, 0.25 + spread, 0.0))
        arms = hanging + (arms - hanging) * _once(stretch, time)[1][:, None, None]
    if stretch.activity == "walk":
        pace = 2 * np.pi * stretch.tempo * time + stretch.phase[2]
        for arm, at in enumerate((pace + np.pi, pace)):
            arms[:, arm, 2] = stretch.direction * 0.45 * np.sin(at)
    else:
        arms[:, 0, 2] = 0.45 * np.sin(stretch.phase[2]) * (np.cos(stretch.phase[2]) > 0)
        arms[:, 1, 2] = -arms[:, 0, 2]
    return arms


def _raised(tilt: FloatArray) -> FloatArray:
    """Return (F, 3): an arm that is raised below the shoulder (tilt -1) to overhead (tilt 1)."""
    return np.stack([2.0 + 0.8 * tilt, 2.1 + 1.15 * tilt, np.zeros_like(tilt)], axis=-1)

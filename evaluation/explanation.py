"""Why two toolkits print different mAPs for the same files: from one protocol to the next, a step at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.frame_ap import frame_map
from evaluation.protocols import MMACTION2, OFFICIAL, PYSLOWFAST, Protocol, Ties
from evaluation.records import DetectionRows, FrameKey, TruthRows
from evaluation.tables import table_text


@dataclass(frozen=True)
class ExplainedStep:
    """One row of an explanation.

    Attributes:
        what: the difference in words; the first row of a chain names where it begins.
        mean_ap: mAP once this and all steps before are taken; None where the toolkit would stop with an error.
        change: against the step before; None for a first row and where either mAP is missing.
        toolkit: the toolkit whose number is reached by this step; None in between.

    Example:
        >>> from evaluation import explain, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> explain(truth, found, actions=actions)[0]
        ExplainedStep(what='the official tool', mean_ap=0.75, change=None, toolkit='official')
    """

    what: str
    mean_ap: float | None
    change: float | None
    toolkit: str | None


# Every chain begins at the official protocol; each step sets some fields of the protocol as the goal has them.
_TO_PYSLOWFAST = (
    (("best_rows",), "all rows of a timestamp count, not its 50 best"),
    (("moments",), "detections at timestamps without truth are false, not ignored"),
    (("row_order",), "rows claim truths in the order of the file, not sorted by score"),
)
_TO_MMACTION2 = (
    (("best_rows",), "all rows of a timestamp count, not its 50 best"),
    (("moments",), "detections at timestamps named only by unlisted actions or empty rows are ignored, not false"),
    (("empty_boxes",), "detections without area are false, not dropped"),
    (("undetected_actions",), "actions without detections are left out of the mean, not 0"),
    (("excluded_truth",), "truth at excluded timestamps counts as missed"),
    (("precision",), "boxes and scores in single precision"),
    (("row_order", "moment_order"), "equal scores in the order of the truth file's timestamps"),
)


def explain(
    truth: TruthRows,
    detections: DetectionRows,
    *,
    actions: ActionList,
    excluded: Collection[FrameKey] = frozenset(),
    ties: Ties = "stable",
) -> tuple[ExplainedStep, ...]:
    """Follow the mAP from the official protocol to PySlowFast's and to MMAction2's.

    Args:
        truth, detections, actions, excluded, ties: as of `frame_map`.

    Raises:
        InputError: as `frame_map` under the official protocol.

    Example:
        >>> from evaluation import explain, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> [step.toolkit for step in explain(truth, found, actions=actions) if step.toolkit]
        ['official', 'pyslowfast', 'official', 'mmaction2']
    """

    def mean_ap(protocol: Protocol, without: Collection[FrameKey]) -> float | None:
        try:
            return frame_map(truth, detections, actions=actions, excluded=without, protocol=protocol, ties=ties).mean_ap
        except InputError:
            if protocol == OFFICIAL:
                raise
            return None

    start = mean_ap(OFFICIAL, excluded)
    steps = [ExplainedStep("the official tool", start, None, OFFICIAL.name)]
    if excluded:
        everywhere = mean_ap(OFFICIAL, frozenset())
        steps = [
            ExplainedStep("the official tool on the files as they are", everywhere, None, None),
            ExplainedStep(
                f"{len(excluded)} excluded timestamps are taken out first",
                start,
                _change(everywhere, start),
                "official",
            ),
        ]
    for goal, chain in ((PYSLOWFAST, _TO_PYSLOWFAST), (MMACTION2, _TO_MMACTION2)):
        protocol, before = OFFICIAL, start
        if goal is not PYSLOWFAST:
            steps.append(ExplainedStep("the official tool", start, None, OFFICIAL.name))
        for fields, what in chain:
            if fields == ("excluded_truth",) and not excluded:
                continue
            protocol = replace(protocol, **{name: getattr(goal, name) for name in fields}, name=goal.name)
            after = mean_ap(protocol, excluded)
            toolkit = goal.name if (fields, what) == chain[-1] else None
            steps.append(ExplainedStep(what, after, _change(before, after), toolkit))
            before = after
    return tuple(steps)


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def explanation_text(steps: Sequence[ExplainedStep]) -> str:
    """Return an explanation as a table: what changes, the mAP, by how much it moves, whose number it is.

    Example:
        >>> from evaluation import explain, explanation_text, read_action_list, read_ava_csv, read_ava_results
        >>> truth, found = read_ava_csv("truth.csv"), read_ava_results("detections.csv")
        >>> actions = read_action_list("actions.pbtxt")
        >>> explanation_text(explain(truth, found, actions=actions)).splitlines()[2].split()
        ['the', 'official', 'tool', '0.750000', '=', 'official']
    """
    rows = [
        (
            step.what,
            "stops with an error" if step.mean_ap is None else f"{step.mean_ap:.6f}",
            "" if step.change is None else f"{step.change:+.6f}",
            "" if step.toolkit is None else f"= {step.toolkit}",
        )
        for step in steps
    ]
    return table_text(["why does my mAP differ?", "mAP", "change", ""], rows, numeric={"mAP", "change"})

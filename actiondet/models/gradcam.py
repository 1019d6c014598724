"""Where and when a detector looks for an action of a person: Grad-CAM (Selvaraju et al. 2017) over its feature maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from actiondet.models.detector import ActionDetector


def class_activation(detector: ActionDetector, clip: Tensor, boxes: Tensor, *, person: int, column: int) -> Tensor:
    """How much each place of a clip speaks for an action of a person.

    The maps of the backbone, each channel weighted by the mean of the logit's gradient over it, summed over channels
    and pathways; what is below zero speaks for other actions and becomes 0. Only the head is differentiated, so any
    backbone will do. Places outside of the person's box have values, too: they show what the network takes for the
    action there, whether or not it takes part in this person's score.

    Args:
        detector: in evaluation mode.
        clip: (3, T, H, W) float, normalized.
        boxes: (P, 4) pixel boxes of the clip; (P, T, 4) for a head that follows tracks.
        person: which of them.
        column: of the action's logit.

    Returns:
        (T, H, W) from 0 to 1, the strongest place; all 0 where nothing speaks for the action.
    """
    height, width = clip.shape[-2:]
    with torch.no_grad():
        features = [each.clone() for each in detector.backbone(clip[None])]
    with torch.enable_grad():
        for each in features:
            each.requires_grad_()
        people = detector.head.pool(features, [detector.head.widened(boxes, height, width)])
        gradients = torch.autograd.grad(detector.head.classify(people)[person, column], features)
    speaking = torch.zeros(clip.shape[1:], device=clip.device)
    for each, gradient in zip(features, gradients, strict=True):
        weighted = (each.detach() * gradient.mean(dim=(2, 3, 4), keepdim=True)).sum(dim=1, keepdim=True)
        speaking += F.interpolate(weighted.float(), size=clip.shape[1:], mode="trilinear", align_corners=False)[0, 0]
    speaking = speaking.clamp(min=0)
    strongest = speaking.max()
    return speaking / strongest if strongest > 0 else speaking

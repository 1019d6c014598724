"""A network made for use: the same scores from fewer, faster operations."""

from __future__ import annotations

import copy
import itertools
import platform
from pathlib import Path
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from actiondet.models.blocks import Backbone, ResidualBlock, Stem
from actiondet.models.detector import ActionDetector
from actiondet.models.nonlocal_block import NonLocalBlock
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.slowfast import Lateral

Network = TypeVar("Network", bound=ActionDetector | ActionRecognizer)
Precision = Literal["float32", "bfloat16", "auto"]


def optimize_for_inference(model: Network, *, precision: Precision = "float32", compile: bool = False) -> Network:
    """A copy of `model` that gives the same scores faster and cannot be trained.

    Batch norms are folded into the convolutions before them, maps lie channels last, convolutions over space alone
    or time alone run in 2D, and no gradients are recorded. The head, RoIAlign with it, stays in float32.

    Args:
        model: stays as it is; the copy is on the same device.
        precision: of the backbone. "bfloat16" halves its memory. Scores move: with random weights by 0.03 to 0.06
            on a processor with native bfloat16, by about 0.01 on one that emulates it, where each operation is
            rounded once. There it is also slower than "float32", which is what "auto" then takes.
        compile: let torch.compile write one program of the backbone. The first call of each clip shape then takes
            a minute or so, and a C++ compiler must be there (on a GPU, Triton).

    Returns:
        A network of the same class; clips and logits are float32 in either precision.

    Example:
        >>> trained = actiondet.load_trained("detector.pt")
        >>> fast = actiondet.optimize_for_inference(trained.network)
    """
    network: Network = copy.deepcopy(model)
    network.eval().requires_grad_(False)
    device = next(network.parameters()).device
    if precision == "auto":
        precision = "bfloat16" if computes_in_bfloat16(device) else "float32"
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    if isinstance(network.backbone, InferenceBackbone):  # made for inference before, perhaps in another precision
        network.backbone = network.backbone.inner
    for module in list(network.backbone.modules()):
        _make_convolutions_fast(module)
    network.backbone = InferenceBackbone(network.backbone, dtype=dtype, compile=compile)
    return network


class InferenceBackbone(Backbone):
    """A backbone that records no gradients: float32 clips and maps outside, `dtype` and channels last inside."""

    def __init__(self, backbone: Backbone, *, dtype: torch.dtype, compile: bool) -> None:
        super().__init__()
        self.channels = backbone.channels
        self.stride = backbone.stride
        self.dtype = dtype
        self.inner = backbone.to(dtype)
        if compile:
            # Frozen weights let the compiler lay them out, and put ReLU and sum into the convolutions.
            self.inner.compile(options={"freezing": True})

    @torch.inference_mode()
    def forward(self, clips: Tensor) -> list[Tensor]:
        """As of the backbone inside."""
        clips = clips.to(self.dtype).contiguous(memory_format=torch.channels_last_3d)
        return [features.float() for features in self.inner(clips)]


class FlatConv(nn.Module):
    """A 3D convolution over space alone or time alone, done in 2D, for which processors have the faster programs.

    Maps that lie channels last are not moved for it: their shape is read in another way.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.over_time = not _keeps(conv, slice(0, 1))
        self.axes = slice(0, 2) if self.over_time else slice(1, 3)  # of (time, height, width): (T, H W), or (H, W)
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        weight = conv.weight.flatten(3) if self.over_time else conv.weight[:, :, 0]
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, C', T', H', W')."""
        if self.over_time:
            y = self._convolve(x.flatten(3))
            return y.view(*y.shape[:3], *x.shape[3:])
        frames = x.transpose(1, 2)  # (B, T, C, H, W)
        y = self._convolve(frames.flatten(0, 1))
        return y.view(*frames.shape[:2], *y.shape[1:]).transpose(1, 2)

    def _convolve(self, x: Tensor) -> Tensor:
        axes = self.axes
        return F.conv2d(x, self.weight, self.bias, self.stride[axes], self.padding[axes], self.dilation[axes])


def _make_convolutions_fast(block: nn.Module) -> None:
    """Fold the batch norms of one of our blocks into its convolutions, and do these in 2D where that is the same."""
    if not isinstance(block, Stem | ResidualBlock | NonLocalBlock | Lateral):
        return  # a block of the user's own: what follows what is not known
    children = dict(block.named_children())
    for (name, conv), (norm_name, norm) in itertools.pairwise(children.items()):
        if isinstance(conv, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
            setattr(block, name, fuse_conv_bn_eval(conv, norm))
            setattr(block, norm_name, nn.Identity())
    for name, conv in block.named_children():
        if isinstance(conv, nn.Conv3d) and (_keeps(conv, slice(0, 1)) or _keeps(conv, slice(1, 3))):
            setattr(block, name, FlatConv(conv))


def _keeps(conv: nn.Conv3d, axes: slice) -> bool:
    """Whether along these axes the convolution looks at single positions, and at each."""
    return {*conv.kernel_size[axes], *conv.stride[axes]} == {1}


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 numbers itself, so that they save time."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if platform.system() != "Linux":
        return platform.machine() == "arm64"  # Apple's
    words = Path("/proc/cpuinfo").read_text().split()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(words)

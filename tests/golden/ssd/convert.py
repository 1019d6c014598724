"""Make ssd_mobilenet_v2_oidv4.onnx of Google's TFLite file: python convert.py SOURCE.tflite TARGET.onnx.

Needs the packages `tflite` and `onnx`. The README beside this program says where the source comes from. The result is
the same in every bit each time.

TFLite holds pictures as (N, H, W, C), ONNX as (N, C, H, W): weights are turned, and a map is turned back to rows,
columns and channels where it becomes a list of anchors. Weights of convolutions stay float16 and are widened by Cast.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

SIDE, ANCHORS, CLASSES = 300, 1917, 24
OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
TYPES = {tflite.TensorType.FLOAT32: np.float32, tflite.TensorType.FLOAT16: np.float16}
SAME = tflite.Padding.SAME
RELU6 = tflite.ActivationFunctionType.RELU6


class Graph:
    """The ONNX graph that grows while TFLite's operators are read in their order."""

    def __init__(self, source: tflite.SubGraph, model: tflite.Model) -> None:
        self.model, self.source = model, source
        self.nodes: list[onnx.NodeProto] = []
        zero, six = np.float32(0), np.float32(6)
        self.constants = [numpy_helper.from_array(zero, "zero"), numpy_helper.from_array(six, "six")]
        self.widened: dict[int, int] = {}  # a float32 tensor and the float16 constant that TFLite makes it of
        self.names = {source.Inputs(0): "images", source.Outputs(0): "boxes", source.Outputs(1): "scores"}

    def name(self, tensor: int) -> str:
        return self.names.get(tensor, f"t{tensor}")

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self.source.Tensors(tensor).ShapeAsNumpy().tolist())

    def values(self, tensor: int) -> np.ndarray:
        tensor = self.widened.get(tensor, tensor)
        kept = self.source.Tensors(tensor)
        raw = self.model.Buffers(kept.Buffer()).DataAsNumpy()
        return np.frombuffer(raw.tobytes(), TYPES[kept.Type()]).reshape(self.shape(tensor))

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def clipped(self, kind: str, inputs: list[str], tensor: int, activation: int, **attributes: Any) -> None:
        """A node, and the clipping to [0, 6] that TFLite counts as a part of it."""
        if activation == RELU6:
            self.node(kind, inputs, f"t{tensor}_", **attributes)
            self.node("Clip", [f"t{tensor}_", "zero", "six"], self.name(tensor))
        else:
            assert activation == tflite.ActivationFunctionType.NONE, activation
            self.node(kind, inputs, self.name(tensor), **attributes)

    def convolution(self, operator: tflite.Operator, inputs: list[int], output: int, *, depthwise: bool) -> None:
        options = read_options(operator, tflite.DepthwiseConv2DOptions() if depthwise else tflite.Conv2DOptions())
        kernel = self.values(inputs[1])  # (out, rows, columns, in), depthwise (1, rows, columns, channels)
        weights = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
        narrow = np.ascontiguousarray(weights).astype(np.float16)
        self.constants.append(numpy_helper.from_array(narrow, f"w{output}_h"))
        self.node("Cast", [f"w{output}_h"], f"w{output}", to=TensorProto.FLOAT)
        bias = np.ascontiguousarray(self.values(inputs[2])).astype(np.float32)
        self.constants.append(numpy_helper.from_array(bias, f"b{output}"))
        size, strides = kernel.shape[1:3], (options.StrideH(), options.StrideW())
        room = [(0, 0), (0, 0)]
        if options.Padding() == SAME:
            room = [same_padding(*sides) for sides in zip(self.shape(inputs[0])[1:3], size, strides, strict=True)]
        (top, bottom), (left, right) = room
        self.clipped(
            "Conv",
            [self.name(inputs[0]), f"w{output}", f"b{output}"],
            output,
            options.FusedActivationFunction(),
            kernel_shape=list(size),
            strides=list(strides),
            pads=[top, left, bottom, right],
            group=kernel.shape[3] if depthwise else 1,
        )

    def reshape(self, tensor: int, output: int) -> None:
        """A map of (C, rows, columns), anchor after anchor in C, becomes a list of anchors."""
        name, shape = self.name(tensor), self.shape(tensor)
        if len(shape) == 4 and shape[1] == shape[2]:
            self.node("Transpose", [name], f"{name}_l", perm=[0, 2, 3, 1])
            name = f"{name}_l"
        target = np.array([1, -1, self.shape(output)[-1]], dtype=np.int64)
        self.constants.append(numpy_helper.from_array(target, f"s{output}"))
        self.node("Reshape", [name, f"s{output}"], self.name(output))

    def add(self, operator: tflite.Operator) -> None:
        """Translate one operator of TFLite."""
        kind = OPERATORS[self.model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]
        inputs, output = operator.InputsAsNumpy().tolist(), int(operator.Outputs(0))
        if kind == "DEQUANTIZE":
            self.widened[output] = inputs[0]
        elif kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.convolution(operator, inputs, output, depthwise=kind == "DEPTHWISE_CONV_2D")
        elif kind == "ADD":
            options = read_options(operator, tflite.AddOptions())
            names = [self.name(tensor) for tensor in inputs]
            self.clipped("Add", names, output, options.FusedActivationFunction())
        elif kind == "RESHAPE":
            self.reshape(inputs[0], output)
        elif kind == "CONCATENATION":
            self.node("Concat", [self.name(tensor) for tensor in inputs], self.name(output), axis=1)
        else:
            raise SystemExit(f"TFLite's {kind} is not translated; the known source has none")


def read_options(operator: tflite.Operator, options: Any) -> Any:
    options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
    return options


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: as many outputs as strides begin in the side; the odd pixel of padding comes last."""
    room = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return room // 2, room - room // 2


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    model = tflite.Model.GetRootAsModel(source.read_bytes(), 0)
    graph = Graph(model.Subgraphs(0), model)
    for place in range(graph.source.OperatorsLength()):
        graph.add(graph.source.Operators(place))
    described = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in {
            "images": [1, 3, SIDE, SIDE],
            "boxes": [1, ANCHORS, 4],
            "scores": [1, ANCHORS, CLASSES],
        }.items()
    ]
    made = helper.make_graph(graph.nodes, "ssd", described[:1], described[1:], graph.constants)
    network = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(network, full_check=True)
    onnx.save(network, target)


if __name__ == "__main__":
    main()

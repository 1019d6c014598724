"""Weights in the wrappings of many trainers fill the same network: equal logits, or one sentence."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from actiondet.models.detector import ActionDetector
from actiondet.models.heads.roi import RoIHead
from actiondet.models.weights import load_weights
from actiondet.models.weights.infer import infer_model
from evaluation.errors import InputError

Named = Callable[[str], Any]
State = dict[str, Tensor]
MM, PSF, PTV = "slowfast_r50_8x8_tmax", "psf_slowfast_nln_8x8_r50", "ptv_slowfast_r50_detection"
PADDLE, TRICKS = "paddle_slowfast_ava", "slowonly_r50_16x4_tricks"


def within(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def damaged(state: State) -> State:
    """Another set of the same weights."""
    return {name: tensor * 0 for name, tensor in state.items() if tensor.is_floating_point()}


def compiled_parts(state: State) -> State:
    """As a network whose backbone alone was compiled."""
    return {name.replace("backbone.", "backbone._orig_mod."): tensor for name, tensor in state.items()}


def arrays(state: State) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in state.items()}


# The name of the reference, and what the file holds in place of what its toolkit writes.
WRAPPINGS: dict[str, tuple[str, Callable[[State], Any]]] = {
    "DataParallel, MMAction2": (MM, lambda s: {"state_dict": within("module.", s)}),
    "DataParallel, PySlowFast": (PSF, lambda s: {"model_state": within("module.", s)}),
    "DataParallel, pytorchvideo": (PTV, lambda s: {"model_state": within("module.", s)}),
    "DataParallel, PaddleVideo": (PADDLE, lambda s: arrays(within("_layers.", s))),
    "torch.compile, MMAction2": (MM, lambda s: {"state_dict": within("_orig_mod.", s)}),
    "torch.compile, PySlowFast": (PSF, lambda s: {"model_state": within("_orig_mod.", s)}),
    "torch.compile, pytorchvideo": (PTV, lambda s: within("_orig_mod.", s)),
    "torch.compile in DataParallel": (MM, lambda s: within("module._orig_mod.", s)),
    "a compiled backbone": (MM, lambda s: {"state_dict": compiled_parts(s)}),
    "Lightning round a detector": (PTV, lambda s: {"epoch": 1, "state_dict": within("model.", s), "loops": {}}),
    "Lightning, PySlowFast": (PSF, lambda s: {"state_dict": within("net.", s) | {"loss.weight": torch.ones(3)}}),
    "Lightning, MMAction2": (TRICKS, lambda s: {"state_dict": within("network.model.", s)}),
    "Lightning with an average": (PSF, lambda s: {
        "state_dict": within("model.", s)
        | within("ema_model.module.", damaged(s))
        | {"ema_model.n_averaged": torch.ones(1)}
    }),
    "an average alone": (MM, lambda s: {"state_dict_ema": within("module.", s), "epoch": 3}),
    "an average beside the weights": (MM, lambda s: {
        "state_dict": s, "ema_state_dict": within("module.", damaged(s)) | {"steps": torch.tensor(3)}
    }),
    "mmcv's averages": (TRICKS, lambda s: {
        "state_dict": s | {f"ema_{name.replace('.', '_')}": tensor * 0 for name, tensor in s.items()}
    }),
    "model_ema": (PSF, lambda s: {"model_ema": s}),
    "model and model_ema": (PSF, lambda s: {"model": s, "model_ema": damaged(s)}),
    "teacher and student": (PSF, lambda s: within("teacher.", damaged(s)) | within("student.", s)),
    "ema": (TRICKS, lambda s: {"ema": s}),
    "net": (PSF, lambda s: {"net": s, "epoch": 1, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}),
    "network": (TRICKS, lambda s: {"network": s}),
    "model_state_dict": (PSF, lambda s: {"model_state_dict": s, "optimizer_state_dict": {"momentum": s}}),
    "params": (MM, lambda s: {"params": s}),
    "module": (PTV, lambda s: {"module": s, "dp_world_size": 8}),
    "nested": (PSF, lambda s: {"model": {"state_dict": s}}),
    "nested twice": (PTV, lambda s: {"checkpoint": {"model": {"model_state": s}, "epoch": 3}}),
    "half precision": (MM, lambda s: {n: t.half() if t.is_floating_point() else t for n, t in s.items()}),
    "parameters": (PSF, lambda s: {n: nn.Parameter(t) if t.is_floating_point() else t for n, t in s.items()}),
    "without counts of batches": (PSF, lambda s: {n: t for n, t in s.items() if t.is_floating_point()}),
}  # fmt: skip
# Settings that these files lack: the golden network averages over 2 cells, published ones over 7.
ALLOW = ["window"]


def expected_of(reference: Any, folder: Path) -> Tensor:
    network = reference.build()
    load_weights(network, reference.write(folder))
    return reference.run(network)  # type: ignore[no-any-return]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrapped_weights_give_equal_logits(wrapping: str, reference_named: Named, tmp_path: Path) -> None:
    name, wrap = WRAPPINGS[wrapping]
    reference = reference_named(name)
    torch.save(wrap(reference.state), tmp_path / "wrapped.ckpt")
    network = reference.build()
    report = load_weights(network, tmp_path / "wrapped.ckpt", allow=ALLOW)
    assert report.origin == reference.origin
    assert torch.equal(reference.run(network), expected_of(reference, tmp_path))
    told = [remark for remark in report.remarks if "the weights are" in remark]
    chosen = ("average", "ema", "teacher")
    assert len(told) == (any(word in wrapping for word in chosen) and wrapping != "mmcv's averages")


@pytest.mark.parametrize("name", [MM, PSF, PTV, TRICKS])
@pytest.mark.parametrize("how", ["safetensors", "pickle", "arrays", "protocol 4"])
def test_other_kinds_of_files_give_equal_logits(how: str, name: str, reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named(name)
    path = tmp_path / "weights.bin"
    if how == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in reference.state.items()}, path)
    elif how == "arrays":
        path.write_bytes(pickle.dumps({"model_state": arrays(reference.state)}))
    else:
        path.write_bytes(pickle.dumps(reference.state, protocol=4 if how == "protocol 4" else 2))
    network = reference.build()
    load_weights(network, path, allow=ALLOW)
    assert torch.equal(reference.run(network), expected_of(reference, tmp_path))


def test_settings_beside_nested_weights_are_read(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named(PSF)
    torch.save({"checkpoint": reference.content, "epoch": 2}, tmp_path / "nested.pyth")
    assert not load_weights(reference.build(), tmp_path / "nested.pyth").remarks  # the window, too


def test_our_own_weights_are_taken_from_wrappings(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named(TRICKS)
    network, other = reference.build(), reference.build()
    load_weights(network, reference.write(tmp_path))
    torch.save({"state_dict": within("model._orig_mod.", network.state_dict())}, tmp_path / "ours.ckpt")
    assert load_weights(other, tmp_path / "ours.ckpt").origin == "actiondet"
    assert torch.equal(reference.run(network), reference.run(other))


def test_one_of_several_networks_may_be_chosen(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named(MM)
    path = tmp_path / "two.pth"
    torch.save({"state_dict": damaged(reference.state), "state_dict_ema": reference.state}, path)
    network = reference.build()
    remarks = load_weights(network, path).remarks
    assert remarks == ("the weights are those in 'state_dict', not those in 'state_dict_ema'",)
    assert not network.backbone.slow.stem.conv.weight.any()
    load_weights(network, path, entry="state_dict_ema")
    assert torch.equal(reference.run(network), expected_of(reference, tmp_path))
    assert infer_model(path, entry="state_dict_ema")[0] == infer_model(path)[0]
    with pytest.raises(
        InputError, match=r"no network in 'ema'; those that it holds are in 'state_dict', 'state_dict_ema'"
    ):
        load_weights(network, path, entry="ema")


def test_two_networks_of_the_same_rank_are_not_guessed_between(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named(PSF)
    torch.save({"best": reference.state, "last": damaged(reference.state)}, tmp_path / "two.pth")
    with pytest.raises(InputError, match=r"two\.pth: holds a network in 'best' and 'last'; choose one with `entry`"):
        load_weights(reference.build(), tmp_path / "two.pth")
    load_weights(reference.build(), tmp_path / "two.pth", entry="best", allow=ALLOW)


@pytest.mark.parametrize("name", [MM, TRICKS])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_a_backbone_alone_fills_the_backbone(name: str, prefix: str, reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named(name)
    state = {
        prefix + key.removeprefix("backbone."): tensor
        for key, tensor in reference.state.items()
        if key.startswith("backbone.")
    }
    torch.save(state, tmp_path / "backbone.pth")
    network, whole = reference.build(), reference.build()
    head = {key: tensor.clone() for key, tensor in network.head.state_dict().items()}
    report = load_weights(network, tmp_path / "backbone.pth")
    load_weights(whole, reference.write(tmp_path))
    assert report.lacks_head
    assert set(report.left_alone.values()) == {"the file holds a backbone alone"}
    with pytest.raises(InputError, match="holds no classifier"):
        report.require_head()
    assert all(torch.equal(head[key], tensor) for key, tensor in network.head.state_dict().items())
    features = [network.double().backbone(reference.clips), whole.double().backbone(reference.clips)]
    assert all(torch.equal(a, b) for a, b in zip(*features, strict=True))


def test_a_network_of_the_users_own_is_taken_from_a_wrapping(tmp_path: Path) -> None:
    class Odd(nn.Module):
        channels = (4,)
        stride = 16

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv3d(3, 4, 1)

    networks = [ActionDetector(Odd(), RoIHead(channels=(4,), num_actions=2)) for _ in range(2)]  # type: ignore[arg-type]
    torch.save({"state_dict": within("module.", networks[0].state_dict())}, tmp_path / "odd.pth")
    report = load_weights(networks[1], tmp_path / "odd.pth")
    assert len(report.matched) == 4
    assert torch.equal(networks[0].backbone.layer.weight, networks[1].backbone.layer.weight)


def test_a_person_detector_beside_the_network_is_left(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named(PTV)
    persons = {"persons.backbone.body.layer1.0.conv1.weight": torch.ones(4, 4, 1, 1)}
    torch.save({"state_dict": within("actions.", reference.state) | persons}, tmp_path / "both.ckpt")
    report = load_weights(reference.build(), tmp_path / "both.ckpt")
    assert report.skipped == dict.fromkeys(persons, "outside of the network")


def test_whole_networks_and_damaged_files_are_one_sentence(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named(TRICKS)
    torch.save(nn.Sequential(nn.Conv3d(1, 1, 1)), tmp_path / "object.pth")
    with pytest.raises(
        InputError, match=r"object\.pth: refused, it holds a whole network as a Python object; save its"
    ):
        load_weights(reference.build(), tmp_path / "object.pth")
    save_file(reference.state, tmp_path / "whole.safetensors")
    content = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "part.safetensors").write_bytes(content[:-9])
    with pytest.raises(InputError, match=r"part\.safetensors: a damaged or truncated checkpoint"):
        load_weights(reference.build(), tmp_path / "part.safetensors")


def test_nothing_runs_in_a_plain_pickle(tmp_path: Path) -> None:
    class Sly:
        def __reduce__(self) -> Any:
            return eval, ("1",)

    (tmp_path / "sly.pkl").write_bytes(pickle.dumps({"model_state": {"a": Sly()}}))
    with pytest.raises(InputError, match=r"sly\.pkl: refused, it tries to import builtins\.eval"):
        infer_model(tmp_path / "sly.pkl")

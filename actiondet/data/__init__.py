"""Data sets, and how their samples become batches."""

# Importing the data sets registers their builders.
from actiondet.data import ava as _ava
from actiondet.data import multisports as _multisports
from actiondet.data.build import build_test_set, build_training_set
from actiondet.data.key_frames import KeyMomentDataset, TestSet, TrainingSet
from actiondet.data.loading import Draw, Loaded, TestSampler, TrainSampler, Unreadable, build_loader, collate

__all__ = [
    "Draw",
    "KeyMomentDataset",
    "Loaded",
    "TestSampler",
    "TestSet",
    "TrainSampler",
    "TrainingSet",
    "Unreadable",
    "build_loader",
    "build_test_set",
    "build_training_set",
    "collate",
]

del _ava, _multisports

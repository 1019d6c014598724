"""Data sets, and how their samples become batches."""

from actiondet.data.build import build_test_set, build_training_set
from actiondet.data.key_frames import EvaluationSet, KeyMomentDataset, TrainingSet
from actiondet.data.loading import Draw, Loaded, OrderedSampler, TrainSampler, Unreadable, build_loader, collate

__all__ = [
    "Draw",
    "EvaluationSet",
    "KeyMomentDataset",
    "Loaded",
    "OrderedSampler",
    "TrainSampler",
    "TrainingSet",
    "Unreadable",
    "build_loader",
    "build_test_set",
    "build_training_set",
    "collate",
]

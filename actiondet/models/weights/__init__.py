"""Weights of every supported toolkit: one file per origin, one call for all."""

from actiondet.models.weights.fitting import HeadColumns
from actiondet.models.weights.load import load_weights
from actiondet.models.weights.opening import OriginName
from actiondet.models.weights.report import Report

__all__ = ["HeadColumns", "OriginName", "Report", "load_weights"]

"""Backbones that are not residual networks."""

"""Heads: from feature maps to logits."""

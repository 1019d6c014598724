"""Tubes: boxes of single moments linked over time. numpy only, no torch."""

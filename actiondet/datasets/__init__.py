"""What a data set holds: its videos, key frames and persons, and which clips they make (no torch)."""

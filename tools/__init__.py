"""The programs, installed as `actiondet.cli`: `actiondet train-det` is tools/train_det.py."""

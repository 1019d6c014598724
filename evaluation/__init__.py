"""Exact evaluation of action detection: AVA frame-mAP, MultiSports frame- and video-mAP. Without torch."""

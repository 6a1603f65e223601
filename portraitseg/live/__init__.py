"""Webcam and video: frames in, masks steadied and refined, composites out. Without TensorFlow."""

from portraitseg.live.effects import Effects
from portraitseg.live.frames import Frame, Sink, SinkClosedError, Source
from portraitseg.live.look import Look
from portraitseg.live.pipeline import Pipeline
from portraitseg.live.segmenter import Segmenter
from portraitseg.live.sinks import open_sink
from portraitseg.live.smoothing import smoother
from portraitseg.live.sources import open_source

__all__ = [
    "Effects",
    "Frame",
    "Look",
    "Pipeline",
    "Segmenter",
    "Sink",
    "SinkClosedError",
    "Source",
    "open_sink",
    "open_source",
    "smoother",
]

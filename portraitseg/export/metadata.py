"""What a finished file says of itself, inside."""

from portraitseg import onnx_metadata, tflite_metadata
from portraitseg.card import EMBEDDED, Card
from portraitseg.export import mediapipe

FORMATS = ("tflite", "mediapipe", "onnx")
"""Formats whose files have room for it."""


def embed(content: bytes, name: str, card: Card) -> bytes:
    """A file of the format `name`, one of `FORMATS`, with its card inside and, for MediaPipe, what that wants to know."""
    text = card.embedded()
    if name == "onnx":
        return onnx_metadata.add(content, EMBEDDED, text)
    blocks = {EMBEDDED: text}
    return mediapipe.with_metadata(content, card, blocks) if name == "mediapipe" else tflite_metadata.add(content, blocks)

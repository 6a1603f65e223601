"""What MediaPipe Tasks' ImageSegmenter wants in a .tflite: a description of its ends, the normalisation, and labels.

The formats: https://github.com/google-ai-edge/mediapipe/tree/master/mediapipe/tasks/metadata, metadata_schema.fbs (1.5.0, "M001") and
image_segmenter_metadata_schema.fbs (1.0.0, "V001"); the numbers of fields below are the places of their lines in those. Written here,
because the writer of the package mediapipe 1.2 cannot be imported, and the package cannot be installed beside TensorFlow's quantizer.
"""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from portraitseg import flatbuffer, tflite_metadata
from portraitseg.card import Card
from portraitseg.errors import InputError

BLOCK = "TFLITE_METADATA"
"""Name of the metadata block that MediaPipe reads."""
LABELS = "labels.txt"
NAMES = {1: ("person",), 2: ("background", "person")}
"""Classes of the output -> what its channels are."""
IMAGE, NORMALIZATION, AXIS_LABELS, RGB, GREY = 2, 1, 2, 1, 2  # members of the schema's unions and enums


def labels(card: Card) -> str:
    """One line for each channel of the output."""
    return "\n".join(NAMES[card.classes]) + "\n"


def check(card: Card, *, io: str) -> None:
    """Refuse a net that ImageSegmenter cannot feed.

    Args:
        card: the net's.
        io: type of the file's input and output.

    Raises:
        InputError: it has a prior channel, keeps the picture's proportions, or has int8 ends.
    """
    if card.channels != 3:
        raise InputError(f"MediaPipe's ImageSegmenter feeds pictures of 3 channels, {card.name} takes {card.channels}; export a .tflite")
    if card.fit != "stretch":
        raise InputError(f"MediaPipe's ImageSegmenter stretches pictures, {card.name} was trained with fit {card.fit}; export a .tflite")
    if io == "int8":
        raise InputError("MediaPipe's ImageSegmenter refuses int8 input and output; leave --io out, or say uint8 or float")


def with_metadata(content: bytes, card: Card, blocks: Mapping[str, bytes] | None = None) -> bytes:
    """The .tflite with all that ImageSegmenter needs, and `blocks` beside it.

    The labels stand behind the flatbuffer as an uncompressed zip archive, as the schema's AssociatedFile wants it.

    Args:
        content: a file whose input has one normalisation for all channels, RGB.
        card: its card.
        blocks: more metadata.

    Raises:
        InputError: as `check`, and `tflite_metadata.add`.
    """
    check(card, io=card.io)
    buffer = io.BytesIO(tflite_metadata.add(content, {BLOCK: _model(card), **(blocks or {})}))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(zipfile.ZipInfo(LABELS), labels(card))  # of 1980, so that the same net gives the same bytes
    return buffer.getvalue()


def _model(card: Card) -> bytes:
    """The root table ModelMetadata."""
    builder = flatbuffer.new_builder()
    subgraph = flatbuffer.table(
        builder,
        references={2: flatbuffer.vector(builder, [_input(builder, card)]), 3: flatbuffer.vector(builder, [_output(builder)]),
                    9: flatbuffer.vector(builder, [_custom(builder)])},
    )  # fmt: skip
    texts = {0: card.name, 1: "Separates a person from the background.", 5: card.licence, 7: "1.5.0"}
    references = {field: builder.CreateString(text) for field, text in texts.items()}
    root = flatbuffer.table(builder, references={**references, 3: flatbuffer.vector(builder, [subgraph])})
    return flatbuffer.finish(builder, root, b"M001")


def _input(builder: Any, card: Card) -> int:
    """TensorMetadata of the picture. An 8-bit tensor takes raw bytes; what is said of its normalisation is for the reader."""
    numbers = {0: flatbuffer.floats(builder, card.input.mean), 1: flatbuffer.floats(builder, card.input.std)}
    normalisation = flatbuffer.table(builder, references=numbers)
    unit = flatbuffer.table(builder, bytes_={0: NORMALIZATION}, references={1: normalisation})
    units = flatbuffer.vector(builder, [unit])
    references = {0: builder.CreateString("image"), 3: _image(builder, RGB), 4: units}
    return flatbuffer.table(builder, references=references)


def _output(builder: Any) -> int:
    """TensorMetadata of the masks, with the labels of its channels."""
    file = flatbuffer.table(builder, references={0: builder.CreateString(LABELS)}, bytes_={2: AXIS_LABELS})
    files = flatbuffer.vector(builder, [file])
    references = {0: builder.CreateString("segmentation_masks"), 3: _image(builder, GREY), 6: files}
    return flatbuffer.table(builder, references=references)


def _image(builder: Any, colours: int) -> int:
    """Content: ImageProperties of the size of the tensor."""
    properties = flatbuffer.table(builder, bytes_={0: colours})
    return flatbuffer.table(builder, bytes_={0: IMAGE}, references={1: properties})


def _custom(builder: Any) -> int:
    """CustomMetadata: ImageSegmenterOptions whose activation is NONE, its default, since the graph gives probs."""
    inner = flatbuffer.new_builder()
    options = flatbuffer.finish(inner, flatbuffer.table(inner, references={1: inner.CreateString("1.0.0")}), b"V001")
    return flatbuffer.table(builder, references={0: builder.CreateString("SEGMENTER_METADATA"), 1: flatbuffer.data(builder, options)})

"""What MediaPipe Tasks' ImageSegmenter makes of .tflite files, run where portraitseg is not: mediapipe_masks.py FOLDER.

For each FOLDER/NAME.tflite and the picture in FOLDER/picture.npy it writes NAME.npz: the masks, and what the package's own classes read
from the metadata.
"""

import sys
from pathlib import Path

import mediapipe as mp
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as schema
from mediapipe.tasks.metadata import schema_py_generated as tflite
from mediapipe.tasks.python import BaseOptions, vision


def masks(path, picture):
    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=str(path)), output_confidence_masks=True, output_category_mask=True
    )
    with vision.ImageSegmenter.create_from_options(options) as segmenter:
        result = segmenter.segment(mp.Image(image_format=mp.ImageFormat.SRGB, data=picture))
        confidence = np.stack([mask.numpy_view()[..., 0] for mask in result.confidence_masks])
        return {"labels": segmenter.labels, "confidence": confidence, "category": result.category_mask.numpy_view()[..., 0].copy()}


def metadata(content):
    model = tflite.ModelT.InitFromObj(tflite.Model.GetRootAs(content, 0))
    block = next(entry.buffer for entry in model.metadata if entry.name == b"TFLITE_METADATA")
    whole = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAs(bytes(model.buffers[block].data), 0))
    (graph,) = whole.subgraphMetadata
    (source,), (target,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    (unit,), (file,) = source.processUnits, target.associatedFiles
    return {
        "mean": unit.options.mean, "std": unit.options.std, "licence": whole.license.decode(), "name": whole.name.decode(),
        "colours": source.content.contentProperties.colorSpace, "label_file": file.name.decode(), "label_type": file.type,
    }  # fmt: skip


folder = Path(sys.argv[1])
for model in sorted(folder.glob("*.tflite")):
    found = {**masks(model, np.load(folder / "picture.npy")), **metadata(model.read_bytes())}
    np.savez(model.with_suffix(".npz"), **found)

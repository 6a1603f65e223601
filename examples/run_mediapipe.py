"""Masks with MediaPipe Tasks alone (pip install mediapipe): run_mediapipe.py MODEL-mediapipe.tflite PHOTO MASK.png [CATEGORY.png]."""

import sys

import cv2
import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

model, photo, *outs = sys.argv[1:]
base = BaseOptions(model_asset_path=model)
options = vision.ImageSegmenterOptions(base_options=base, output_confidence_masks=True, output_category_mask=True)
with vision.ImageSegmenter.create_from_options(options) as segmenter:
    result = segmenter.segment(mp.Image.create_from_file(photo))
    person = segmenter.labels.index("person")
confidence = result.confidence_masks[person].numpy_view()[..., 0]  # 0 to 1, of the photo's size
category = result.category_mask.numpy_view()[..., 0]  # one channel: 0 is the person, 255 is not; two: the channel that is larger
for path, mask in zip(outs, (np.uint8(confidence * 255 + 0.5), np.uint8(255) * (category == person)), strict=False):
    cv2.imwrite(path, mask)

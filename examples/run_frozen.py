"""A mask with TensorFlow alone (pip install tensorflow opencv-python-headless): run_frozen.py MODEL.pb PHOTO MASK.png."""

import json
import sys

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

model, photo, out = sys.argv[1:]
graph, card = tf.GraphDef.FromString(open(model, "rb").read()), json.load(open(f"{model}.json"))
picture = cv2.imread(photo)[..., :: 1 if card["input"]["order"] == "bgr" else -1]  # which OpenCV reads as BGR
x = cv2.resize(picture, card["size"][::-1], interpolation=cv2.INTER_AREA)  # width, height
x = ((x - card["input"]["mean"]) / card["input"]["std"]).astype(np.float32)[None]  # 1,h,w,3
with tf.Graph().as_default(), tf.Session() as session:
    tf.import_graph_def(graph, name="")
    mask = session.run("prob:0", {"image:0": x})[0, ..., -1]  # the last channel is the person, 0 to 1
cv2.imwrite(out, np.uint8(cv2.resize(mask, picture.shape[1::-1]).clip(0, 1) * 255 + 0.5))

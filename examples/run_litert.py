"""A mask with LiteRT alone (pip install ai-edge-litert opencv-python-headless): run_litert.py MODEL.tflite PHOTO MASK.png."""

import json
import sys

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, photo, out = sys.argv[1:]
net, card = Interpreter(model), json.load(open(model.removesuffix(".tflite") + ".json"))
net.allocate_tensors()
source, target = net.get_input_details()[0], net.get_output_details()[0]
picture = cv2.imread(photo)[..., :: 1 if card["input"]["order"] == "bgr" else -1]  # which OpenCV reads as BGR
x = cv2.resize(picture, card["size"][::-1], interpolation=cv2.INTER_AREA)  # width, height
if source["dtype"] == np.float32:  # a uint8 input takes the bytes as they are
    x = ((x - card["input"]["mean"]) / card["input"]["std"]).astype(np.float32)
net.set_tensor(source["index"], x[None])
net.invoke()
mask = net.get_tensor(target["index"])[0, ..., -1].astype(np.float32)  # the last channel is the person
scale, zero = target["quantization"]
mask = (mask - zero) * scale if scale else mask  # 0 to 1
cv2.imwrite(out, np.uint8(cv2.resize(mask, picture.shape[1::-1]).clip(0, 1) * 255 + 0.5))

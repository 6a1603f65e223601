"""A mask with onnxruntime alone (pip install onnxruntime opencv-python-headless): run_onnx.py MODEL.onnx PHOTO MASK.png."""

import json
import sys

import cv2
import numpy as np
import onnxruntime

model, photo, out = sys.argv[1:]
net, card = onnxruntime.InferenceSession(model), json.load(open(f"{model}.json"))
picture = cv2.imread(photo)[..., :: 1 if card["input"]["order"] == "bgr" else -1]  # which OpenCV reads as BGR
x = cv2.resize(picture, card["size"][::-1], interpolation=cv2.INTER_AREA)  # width, height
x = ((x - card["input"]["mean"]) / card["input"]["std"]).astype(np.float32)[None]  # 1,h,w,3
nchw = card["layout"] == "nchw"  # exported with --layout nchw
prob = net.run(["prob"], {"image": x.transpose(0, 3, 1, 2) if nchw else x})[0]
mask = prob[0, -1] if nchw else prob[0, ..., -1]  # the last channel is the person, 0 to 1
cv2.imwrite(out, np.uint8(cv2.resize(mask, picture.shape[1::-1]).clip(0, 1) * 255 + 0.5))

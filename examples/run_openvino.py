"""A mask with OpenVINO alone (pip install openvino opencv-python-headless): run_openvino.py MODEL.xml PHOTO MASK.png."""

import json
import sys

import cv2
import numpy as np
import openvino

model, photo, out = sys.argv[1:]  # the .bin and the card have to be beside the .xml
# float32: by itself OpenVINO computes in bfloat16 where a processor has that, and a prob is off by 0.01
net, card = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}), json.load(open(f"{model}.json"))
picture = cv2.imread(photo)[..., :: 1 if card["input"]["order"] == "bgr" else -1]  # which OpenCV reads as BGR
x = cv2.resize(picture, card["size"][::-1], interpolation=cv2.INTER_AREA)  # width, height
x = ((x - card["input"]["mean"]) / card["input"]["std"]).astype(np.float32)[None]  # 1,h,w,3
mask = net({"image": x})["prob"][0, ..., -1]  # the last channel is the person, 0 to 1
cv2.imwrite(out, np.uint8(cv2.resize(mask, picture.shape[1::-1]).clip(0, 1) * 255 + 0.5))

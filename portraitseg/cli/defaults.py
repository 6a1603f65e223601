"""What commands take if nothing is said."""

from pathlib import Path

MODEL = Path(__file__).parents[2] / "models" / "munet_mobilenet_v2_nano-wm100-160-int8.tflite"

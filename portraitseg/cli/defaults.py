"""What commands take if nothing is said."""

from pathlib import Path

MODEL = Path(__file__).parents[2] / "models" / "selfie_net-wm100-256-fp16.tflite"

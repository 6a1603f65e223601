"""What commands take if nothing is said."""

from pathlib import Path

MODEL = Path(__file__).parents[2] / "models" / "munet_mnv2_transition-wm035-256-int8.tflite"

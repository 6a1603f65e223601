"""What a figure was measured on."""

import platform
from pathlib import Path


def device_name() -> str:
    """The processor's name (Linux: /proc/cpuinfo, where boards with ARM name themselves "Model")."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return found.get("model name") or found.get("Model") or platform.processor() or platform.machine()

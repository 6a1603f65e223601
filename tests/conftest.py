"""The package before TensorFlow, as programs load them: it says which Keras TensorFlow is to use."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import portraitseg  # noqa: F401

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def mediapipe_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the package mediapipe alone, which cannot live beside TensorFlow's quantizer; half a minute."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["mediapipe"]
    folder = tmp_path_factory.mktemp("mediapipe")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python

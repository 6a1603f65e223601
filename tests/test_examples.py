"""The examples run as their READMEs say."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg.runtime import open_artifact, predict

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(*words: str, folder: Path) -> str:
    """What a command prints; it has the commands of this environment and reports to nobody."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_pipeline_of_mlops(tmp_path):
    folder = tmp_path / "pipeline"
    shutil.copytree(EXAMPLES / "mlops", folder)
    run("git", "init", "--quiet", folder=folder)
    run("dvc", "init", "--quiet", folder=folder)
    run("dvc", "repro", folder=folder)
    metrics = json.loads((folder / "runs/eval/metrics.json").read_text())
    assert metrics["pictures"] == 40
    shown = json.loads(run("dvc", "metrics", "show", "--json", folder=folder))
    assert shown[""]["data"]["runs/eval/metrics.json"]["data"] == {key: value for key, value in metrics.items() if key != "skipped"}
    (artifact,) = (folder / "artifact").glob("*-int8.tflite")
    assert abs(_iou(artifact, folder / "data/val") - metrics["iou"]) < 2
    assert "up to date" in run("dvc", "repro", folder=folder)
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("pictures: 64", "pictures: 32"))
    printed = run("dvc", "repro", folder=folder)
    assert [stage for stage in ("prepare", "train", "eval", "export") if f"Running stage '{stage}'" in printed] == ["export"]
    untracked = run("git", "status", "--short", "--untracked-files=all", folder=folder)
    assert {line.split()[1] for line in untracked.splitlines() if "/" in line} == {
        ".dvc/.gitignore", ".dvc/config", "runs/net/log.csv", "runs/eval/metrics.json",
    }  # fmt: skip


def _iou(model: Path, data: Path) -> float:
    """Mean IoU over the pictures of a folder, percent."""
    runtime, scores = open_artifact(model), []
    for path in sorted((data / "images").iterdir()):
        prob = predict(runtime, cv2.imread(str(path))[..., ::-1])
        mask = cv2.imread(str(data / "masks" / path.name), cv2.IMREAD_GRAYSCALE) > 127
        scores.append(100 * np.sum(mask & (prob > 0.5)) / np.sum(mask | (prob > 0.5)))
    return float(np.mean(scores))

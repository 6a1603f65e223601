"""A run in Weights & Biases or in MLflow, both offline unless their own environment variables say otherwise."""

import json
import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from portraitseg.card import Card
from portraitseg.errors import InputError, RunStoppedError
from portraitseg.files import atomic
from portraitseg.optional import require
from portraitseg.training.config import TrainConfig

PROJECT = "portraitseg"
FILES = ("best.h5", "best.json", "log.csv", "curves.png", "sheet.png")
"""What is kept of a run's folder; best.json is the card."""


class Service(Protocol):
    """A run in a tracking service."""

    run: str
    """The run's id there."""
    error: type[Exception]
    """What the service raises."""

    def log(self, row: Mapping[str, float]) -> None:
        """An epoch's numbers; "epoch" is one of them."""
        ...

    def keep(self, card: Card, files: Sequence[Path]) -> None:
        """The best checkpoint's card, and files."""
        ...

    def end(self, state: str) -> None:
        """End it as "finished", "stopped" (it may be resumed) or "failed"."""
        ...


class Wandb:
    """A run in Weights & Biases: in FOLDER/wandb until `wandb sync`, or at once with WANDB_MODE=online."""

    def __init__(self, config: TrainConfig, folder: Path, name: str, run: str | None) -> None:
        wandb = require("wandb", extra="wandb")
        self.error, self.run = wandb.Error, run or uuid.uuid4().hex[:12]
        os.environ.setdefault("WANDB_DATA_DIR", str(folder.resolve() / "wandb"))  # what waits for the upload
        os.environ.setdefault("WANDB_SILENT", "true")
        self.api = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            mode=os.environ.get("WANDB_MODE", "offline"),
            dir=folder.resolve(),  # its helper process has its own working directory
            id=self.run,
            name=name,
            resume="allow",
            config=config.as_json(),
            allow_val_change=True,
            settings=wandb.Settings(console="off"),
        )
        self.api.define_metric("*", step_metric="epoch")

    def log(self, row: Mapping[str, float]) -> None:
        """A row of the run's history."""
        self.api.log(dict(row))

    def keep(self, card: Card, files: Sequence[Path]) -> None:
        """A model artifact with the card as its metadata, the pictures, and the best figures in the run's summary."""
        wandb = require("wandb", extra="wandb")
        artifact = wandb.Artifact(f"{PROJECT}-{self.run}", type="model", metadata=asdict(card))
        for path in files:
            artifact.add_file(str(path), name=path.name)
        self.api.log_artifact(artifact)
        self.api.log({path.stem: wandb.Image(str(path)) for path in files if path.suffix == ".png"})
        self.api.summary.update({f"best_{key}": value for key, value in card.metrics.items()})

    def end(self, state: str) -> None:
        """Write out what is left."""
        self.api.finish(exit_code=0 if state == "finished" else 1)


class Mlflow:
    """A run in MLflow: in mlflow.db and mlartifacts/ beside the run's folder, or at MLFLOW_TRACKING_URI."""

    STATES: Mapping[str, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

    def __init__(self, config: TrainConfig, folder: Path, name: str, run: str | None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.mlflow = require("mlflow", extra="mlflow")
        self.error = self.mlflow.MlflowException
        home = folder.resolve().parents[name.count("/")]
        self.api = self.mlflow.MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlflow.db'}"))
        self.run: str = run or self._new(name, home)
        self.api.update_run(self.run, status="RUNNING")
        self._set_params(config)

    def _new(self, name: str, home: Path) -> str:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self.api.get_experiment_by_name(experiment)
        place = None if "MLFLOW_TRACKING_URI" in os.environ else (home / "mlartifacts").as_uri()
        number = known.experiment_id if known else self.api.create_experiment(experiment, artifact_location=place)
        return str(self.api.create_run(number, run_name=name).info.run_id)

    def _set_params(self, config: TrainConfig) -> None:
        """The settings; one that is there cannot be changed, so a resumed run's new --epochs stands in the card alone."""
        known = self.api.get_run(self.run).data.params
        new = {key: json.dumps(value) for key, value in config.as_json().items() if key not in known}
        self.api.log_batch(self.run, params=[self.mlflow.entities.Param(key, value) for key, value in new.items()])

    def log(self, row: Mapping[str, float]) -> None:
        """The numbers as metrics, with the epoch as their step."""
        for key, value in row.items():
            if key != "epoch":
                self.api.log_metric(self.run, key, value, step=int(row["epoch"]))

    def keep(self, card: Card, files: Sequence[Path]) -> None:
        """The files as artifacts, the best figures as metrics."""
        for path in files:
            self.api.log_artifact(self.run, str(path))
        for key, value in card.metrics.items():
            self.api.log_metric(self.run, f"best_{key}", value)

    def end(self, state: str) -> None:
        """Close the run."""
        self.api.set_terminated(self.run, self.STATES[state])


SERVICES: Mapping[str, Callable[..., Service]] = {"wandb": Wandb, "mlflow": Mlflow}


class Tracking:
    """The run in its service, if it has one; FOLDER/tracking.json remembers the id there and how many epochs have been logged."""

    def __init__(self, config: TrainConfig, folder: Path, name: str) -> None:
        self.folder, self.path, self.epochs = folder, folder / "tracking.json", 0
        self.service: Service | None = None
        self.errors: tuple[type[Exception], ...] = ()
        if config.track is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        run = None
        if self.path.exists():
            note = json.loads(self.path.read_text(encoding="utf-8"))
            run, self.epochs = note["run"], note["epochs"]
        self.service = _open(config, folder, name, run)
        self.errors = (self.service.error,)
        self._remember()

    def write(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Log those rows of the run's table that are not logged yet; a service that fails gets them the next time."""
        if self.service is None:
            return
        with self._reported():
            for row in history[self.epochs :]:
                self.service.log({key: value for key, value in row.items() if isinstance(value, int | float)})
                self.epochs += 1
        self._remember()

    def keep(self, card: Card) -> None:
        """Log what the finished run has left."""
        with self._reported():
            if self.service:
                self.service.keep(card, [path for name in FILES if (path := self.folder / name).exists()])

    def end(self, state: str) -> None:
        """End the run there."""
        with self._reported():
            if self.service:
                self.service.end(state)

    def _remember(self) -> None:
        if self.service:
            with atomic(self.path) as temporary:
                temporary.write_text(json.dumps({"run": self.service.run, "epochs": self.epochs}) + "\n", encoding="utf-8")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """The training goes on when the service fails."""
        try:
            yield
        except self.errors as error:
            print(f"warning: tracking failed ({_first_line(error)}); the training goes on", file=sys.stderr)


@contextmanager
def tracked(config: TrainConfig, folder: Path, name: str) -> Iterator[Tracking]:
    """The run `name` in the service of the settings; it ends there as the block ends.

    Raises:
        InputError: the service cannot be started.
    """
    tracking, state = Tracking(config, folder, name), "failed"
    try:
        yield tracking
        state = "finished"
    except (RunStoppedError, KeyboardInterrupt):
        state = "stopped"
        raise
    finally:
        tracking.end(state)


def check(config: TrainConfig) -> None:
    """Refuse a service whose package is missing, before the work.

    Raises:
        ImportError: with the command that installs it.
    """
    if config.track is not None:
        require(config.track, extra=config.track)


def _open(config: TrainConfig, folder: Path, name: str, run: str | None) -> Service:
    try:
        return SERVICES[config.track or ""](config, folder, name, run)
    except ImportError:
        raise
    except Exception as error:  # the services' own errors have no common class, and some are not their own
        raise InputError(f"{config.track} cannot be started: {_first_line(error)}; see its settings, or leave out --track") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

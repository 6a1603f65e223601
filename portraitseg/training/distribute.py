"""One run on several devices or machines: each replica takes its rows of every batch, and all of them hold the same weights.

A worker is a process, a replica a device. The chief is the worker that validates, writes and decides; the others follow it.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from portraitseg.data.pipeline import Share
from portraitseg.errors import InputError
from portraitseg.training.objective import Batch
from portraitseg.training.settings import DeviceSettings

EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
LETTER = 8192
"""Bytes of what the chief can tell the others at once."""


class WorkerLostError(Exception):
    """Another worker is gone; what was trained since the last saved state is lost."""


class WholeBatchNorm(keras.layers.BatchNormalization):  # type: ignore[misc]  # its base has no types
    """Batch norm over the samples of all replicas.

    Its moving variance is that of a sample (divided by N - 1), which on one device the fused kernel takes, while Keras' synchronised
    layer divides by N.
    """

    def _calculate_mean_and_var(self, inputs: tf.Tensor, *rest: Any, **options: Any) -> tuple[tf.Tensor, tf.Tensor]:
        mean, variance = super()._calculate_mean_and_var(inputs, *rest, **options)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self.count = tf.cast(replicas * tf.size(inputs) // tf.size(variance), tf.float32)
        return mean, variance

    def _assign_moving_average(self, variable: tf.Variable, value: tf.Tensor, *rest: Any) -> tf.Tensor:
        if variable is self.moving_variance:
            value = tf.cast(value, tf.float32) * self.count / (self.count - 1.0)
        return super()._assign_moving_average(variable, value, *rest)


class Devices:
    """A strategy of TensorFlow with what it leaves to the training loop; None for one device."""

    def __init__(self, strategy: Any = None, *, worker: int = 0, workers: int = 1) -> None:
        self.strategy, self.worker, self.workers = strategy, worker, workers
        self.replicas: int = strategy.num_replicas_in_sync if strategy else 1

    @property
    def chief(self) -> bool:
        """Whether this worker writes."""
        return self.worker == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Where variables are made."""
        return self.strategy.scope() if self.strategy else nullcontext()

    def check(self, batch: int) -> None:
        """Refuse a batch that cannot be shared out evenly.

        Raises:
            InputError: with the nearest one that can.
        """
        if batch % self.replicas:
            nearest = max(1, round(batch / self.replicas)) * self.replicas
            raise InputError(f"--batch is shared out to {self.replicas} replicas, which {batch} cannot be evenly; try {nearest}")

    def synchronise(self, model: keras.Model) -> None:
        """Let batch norm take its statistics from the whole batch, as it does on one device."""
        for layer in model.layers:
            if self.replicas > 1 and isinstance(layer, keras.layers.BatchNormalization):
                layer.__class__, layer.synchronized, layer.fused = WholeBatchNorm, True, False

    def part_noise(self) -> None:
        """Give this worker dropout noise of its own: its number becomes the key of the generator, where a single worker has 0."""
        state = tf.random.get_global_generator().state
        state.assign(tf.concat([state[:-1], [self.worker]], 0))

    def share(self, batch: int) -> Share | None:
        """This worker's rows of each `batch` samples; None for all."""
        return Share(batch=batch, worker=self.worker, workers=self.workers) if self.workers > 1 else None

    def spread(self, batch: Batch, *, parts: int = 1) -> Any:
        """A worker's batch, which holds `parts` parts, as one batch for each of its replicas."""
        local = self.replicas // self.workers
        if local == 1:
            return batch

        def rows(context: Any) -> Batch:
            mine = context.replica_id_in_sync_group - self.worker * local
            cut = {key: tf.reshape(value, (parts, local, -1, *value.shape[1:]))[:, mine] for key, value in batch.items()}
            return {key: tf.reshape(value, (-1, *value.shape[2:])) for key, value in cut.items()}

        return self.strategy.experimental_distribute_values_from_function(rows)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Report what TensorFlow says when another worker ends, which it notices in the next exchange.

        Raises:
            WorkerLostError: instead of TensorFlow's errors, where there are several workers.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self.workers == 1:
                raise
            raise WorkerLostError(next(line for line in error.message.splitlines()[::-1] if "Collective" in line or line)) from error

    def agree(self, values: Mapping[str, float]) -> dict[str, float]:
        """What the chief says, for every worker; all of them must ask."""
        if self.workers == 1:
            return dict(values)
        letter = np.zeros(LETTER, np.int32)
        if self.chief:
            text = json.dumps(values).encode()
            letter[: len(text)] = list(text)
        read: dict[str, float] = json.loads(bytes(self._sum(letter).astype(np.uint8)).rstrip(b"\0"))
        return read

    def anyone(self, flag: bool) -> bool:
        """Whether any worker says so; all of them must ask."""
        return bool(self._sum(np.array([flag], np.int32)).any()) if self.workers > 1 else flag

    def _sum(self, mine: np.ndarray) -> np.ndarray:
        """Sum over the workers."""
        first = self.worker * (self.replicas // self.workers)  # of a worker's replicas, one speaks

        def value(context: Any) -> tf.Tensor:
            return tf.constant(mine if context.replica_id_in_sync_group == first else np.zeros_like(mine))

        values = self.strategy.experimental_distribute_values_from_function(value)
        return np.asarray(self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))


def open_devices(settings: DeviceSettings) -> Devices:
    """The devices of the settings. Several workers wait here for each other; nothing may have been computed before.

    Raises:
        InputError: TF_CONFIG is missing or wrong.
    """
    if settings.strategy == "single":
        return Devices()
    if settings.strategy == "mirrored":
        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Devices(tf.distribute.MirroredStrategy([device.name for device in found]))
    worker, workers = place(os.environ.get("TF_CONFIG", ""))
    print(f"worker {worker + 1} of {workers}, waiting for the others", flush=True)  # TensorFlow waits without a word
    return Devices(tf.distribute.MultiWorkerMirroredStrategy(), worker=worker, workers=workers)


def place(text: str) -> tuple[int, int]:
    """This worker's number and how many there are, as the variable TF_CONFIG says; a job "chief", if there is one, comes first.

    Raises:
        InputError: it is missing, is not JSON, or does not name this worker.
    """
    try:
        raw = json.loads(text)
        jobs = {job: len(raw["cluster"].get(job, ())) for job in ("chief", "worker")}
        job, index = raw["task"]["type"], int(raw["task"]["index"])
        if not 0 <= index < jobs[job]:
            raise IndexError(f"there is no {job} {index}")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        came = f"TF_CONFIG is not understood ({error!r})" if text else "TF_CONFIG is not set"
        raise InputError(f"--strategy multiworker: {came}; every worker needs one such as TF_CONFIG='{EXAMPLE}'") from error
    return index + (jobs["chief"] if job == "worker" else 0), sum(jobs.values())

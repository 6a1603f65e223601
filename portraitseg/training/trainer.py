"""The training loop: phases of epochs, validation at full mask resolution, and an interruption that loses nothing."""

import hashlib
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm

from portraitseg import archs, checkpoint
from portraitseg.card import Card, card_path
from portraitseg.data import pipeline
from portraitseg.data.augment import AugmentConfig
from portraitseg.data.composite import Composer
from portraitseg.data.sources import Dataset, Source
from portraitseg.data.unlabelled import Taught
from portraitseg.errors import InputError, RunStoppedError
from portraitseg.training import optimiser, record, schedules, start, state
from portraitseg.training.config import TrainConfig
from portraitseg.training.distribute import Devices
from portraitseg.training.features import EncoderTeacher
from portraitseg.training.objective import Batch, head_weights, make_objective
from portraitseg.training.phases import Phase
from portraitseg.training.report import Log
from portraitseg.training.state import Progress
from portraitseg.training.step import freeze, make_train_step
from portraitseg.training.tracking import Tracking
from portraitseg.training.validation import Watch, validate
from portraitseg.training.views import ViewTeachers

SETTLED_BY = 128
"""Pictures that finish what a net starts from, see `start.settle`."""


class Trainer:
    """One run in one folder: `fit` trains to the end or until interrupted, and a later Trainer with resume=True goes on."""

    def __init__(
        self, config: TrainConfig, dataset: Dataset, folder: Path, *, resume: bool = False, devices: Devices | None = None
    ) -> None:
        self.config, self.dataset, self.folder, self.devices = config, dataset, folder, devices or Devices()
        self.phases = config.plan()
        self.devices.check(config.batch)
        keras.mixed_precision.set_global_policy(config.precision)
        keras.utils.set_random_seed(config.seed)
        tf.random.get_global_generator()  # made here, of the whole process; made within the scope it would belong to the replicas
        self.model, card = self._net(resume=resume)
        self.card = replace(card, data=config.data_names, licence=config.licence, training=config.as_json())
        self.devices.synchronise(self.model)
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = config.bn_momentum
        head_weights(config.side_weights, self.model.output_names)  # the wrong number of them is said here, not from within the graph
        watched = EncoderTeacher(config.encoder_teacher, self.model, self.card) if config.encoder_teacher else None
        views = ViewTeachers(config.view_teacher, self.card) if config.view_teacher else None
        self.objective = make_objective(config, config, card=self.card, encoder_teacher=watched, view_teachers=views)
        for phase in self.phases:
            freeze(self.model, phase.prefixes)  # a wrong prefix is said now, not after the phases before
        self.average: optimiser.Average | None = None
        self.copy: keras.Model | None = None
        self.stop_requested = False
        self.composer = config.composer(dataset.train, self.card.size)
        self.progress = Progress(data=_fingerprint(dataset.train, self.composer), before=dict(card.made))
        self.saved = self._load_state() if resume else None
        if (config.init or config.pretrained) and not resume:
            self._settle()

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation mIoU."""
        return self.folder / "best.h5"

    @property
    def last(self) -> Path:
        """The checkpoint after the last epoch."""
        return self.folder / "last.h5"

    @property
    def state_path(self) -> Path:
        """What `--resume` reads."""
        return self.folder / "last.state.npz"

    @property
    def step_batch(self) -> int:
        """Pictures between two changes of the weights."""
        return self.config.batch * self.config.accumulate

    def fit(self, tracking: Tracking | None = None) -> Card:
        """Train to the last epoch, or until early stopping; `tracking` gets the run's table after each.

        Returns:
            The best checkpoint's card.

        Raises:
            RunStoppedError: by Ctrl-C or SIGTERM, to any of the workers, after saving.
            WorkerLostError: one of several workers is gone.
            InputError: the loss is not finite.
        """
        total = self.config.total_epochs
        steps = self._steps_per_epoch()
        self._start_average()
        self.log = Log(self.folder, len(self.dataset.val)) if self.devices.chief else None
        done = self.progress.epoch * steps + self.progress.step
        bar = tqdm(total=total * steps, initial=done, unit="step", dynamic_ncols=True, disable=not self.devices.chief)
        with bar, _signals(self), self.devices.watched():
            previous = None
            while self.progress.epoch < total and not self._exhausted():
                phase, first = self._phase_at(self.progress.epoch)
                if phase is not previous:
                    self._enter(phase)
                    if previous is None and self.saved is None:
                        self._save_state()
                    previous = phase
                bar.set_description(f"epoch {self.progress.epoch + 1}/{total} ({phase.name})")
                self._epoch(phase, first, steps, bar)
                if self.log:
                    self.log.write(self.progress.history)
                if tracking:
                    tracking.write(self.progress.history)
                bar.write(_summary_line(self.progress.history[-1], total))
        return self._told_best() if self.devices.chief else self.card

    def trial(self) -> Iterator[Batch]:
        """Enter the first phase, so that `step` and `optimizer` are there, and give its batches without end; nothing is logged or saved."""
        self._enter(self.phases[0])

        def batches() -> Iterator[Batch]:
            while True:
                yield from self._batches()
                self.progress.epoch += 1

        return batches()

    def _net(self, *, resume: bool) -> tuple[keras.Model, Card]:
        """The net that training starts from, and its card."""
        config = self.config
        shape: dict[str, Any] = {"wm": config.wm, "size": config.size, "channels": config.channels, "classes": config.classes}
        card = archs.new_card(config.arch, **shape, **config.options)
        with self.devices.scope():
            model = archs.build(card)
        return model, card if resume else start.fill(model, card, config)

    def _settle(self) -> None:
        """Finish the start on the first pictures; of several workers all take the same ones."""
        model = self._local()
        start.settle(model, self.card, self.config, self._batches(share=None).take(math.ceil(SETTLED_BY / self.step_batch)))
        if model is not self.model:
            self.model.set_weights(model.get_weights())

    def _validate(self, model: keras.Model, watch: Watch | None) -> dict[str, float]:
        return validate(model, self.card, self.dataset.val, watch)

    def _load_state(self) -> state.Saved:
        saved = state.load(self.state_path)
        if saved.progress.data != self.progress.data:
            raise InputError(f"the training pictures changed since {self.folder} was started, or the teacher; put them back, or start anew")
        self.progress = saved.progress
        saved.restore_model(self.model)
        return saved

    def _steps_per_epoch(self) -> int:
        pictures = min(len(self.dataset.train), self.config.samples or len(self.dataset.train))
        return max(1, pictures // self.step_batch)

    def _start_average(self) -> None:
        if self.config.ema:
            with self.devices.scope():
                self.average = optimiser.Average(self.model, self.config.ema)
            if self.saved is not None:
                self.saved.restore("average", self.average.variables)

    def _phase_at(self, epoch: int) -> tuple[Phase, int]:
        """The phase of an epoch and the phase's first epoch."""
        first = 0
        for phase in self.phases:
            if epoch < first + phase.epochs:
                return phase, first
            first += phase.epochs
        raise IndexError(epoch)

    def _exhausted(self) -> bool:
        return bool(self.config.patience) and self.progress.plateau.stale >= self.config.patience

    def _enter(self, phase: Phase) -> None:
        """Freeze as the phase says and start a fresh optimizer, or the saved one when the run was resumed inside the phase."""
        freeze(self.model, phase.prefixes)
        with self.devices.scope():
            self.optimizer = optimiser.make_optimizer(self.config, self.model, phase.lr)
        _, first = self._phase_at(self.progress.epoch)
        if self.progress.epoch == first and not self.progress.step:
            self.progress.plateau.restart()
        elif self.saved is not None:
            self.saved.restore("optimizer", optimiser.state_of(self.optimizer))
        more: dict[str, Any] = {"accumulate": self.config.accumulate, "average": self.average, "strategy": self.devices.strategy}
        self.step = make_train_step(self.model, self.optimizer, self.objective, **more)

    def _epoch(self, phase: Phase, first: int, steps: int, bar: Any) -> None:
        progress, started = self.progress, time.monotonic()
        if self.saved is not None and progress.step:
            self.saved.restore_generator()
        else:
            tf.random.get_global_generator().reset_from_seed(hash((self.config.seed, progress.epoch)) & 0x7FFFFFFF)
        self.saved = None
        self.devices.part_noise()
        for batch in self._batches():
            lr = self._learning_rate(phase, (progress.epoch - first) * steps + progress.step, phase.epochs * steps)
            self.optimizer.learning_rate = lr
            if self.config.momentum_range:
                optimiser.set_momentum(self.optimizer, schedules.momentum(self.config, lr / phase.lr))
            value = float(self.step(self.devices.spread(batch, parts=self.config.accumulate)))
            if not math.isfinite(value):
                raise InputError(self._not_finite(value, batch["index"].numpy(), lr))
            progress.losses.append(value)
            progress.step += 1
            if self.log:
                self.log.step(progress.epoch * steps + progress.step, value, lr)
            bar.update()
            bar.set_postfix(loss=f"{np.mean(progress.losses[-50:]):.4f}", lr=f"{lr:.1e}", refresh=False)
            if self.devices.anyone(self.stop_requested):
                progress.seconds += time.monotonic() - started
                self._save_state()
                raise RunStoppedError
        self._finish_epoch(phase, lr, started)

    def _batches(self, **changes: Any) -> Any:
        texture = 0.0 if self.config.consistency else 1.0  # the consistency loss makes its own, and needs the picture as it is beside it
        settings: dict[str, Any] = {
            "batch": self.step_batch,
            "seed": self.config.seed,
            "epoch": self.progress.epoch,
            "augment": AugmentConfig(level=self.config.augment, colour=texture, quality=texture),
            "prior_empty": self.config.prior_empty,
            "composer": self.composer,
            "skip": self.progress.step,
            "limit": self.config.samples,
            "share": self.devices.share(self.config.batch),
        }
        return pipeline.train_batches(self.dataset.train, self.card, **{**settings, **changes})

    def _learning_rate(self, phase: Phase, step: int, total: int) -> float:
        scale, epoch = self.progress.plateau.scale, total // phase.epochs
        return schedules.learning_rate(self.config, phase.lr, step, total, epoch=epoch, scale=scale)

    def _finish_epoch(self, phase: Phase, lr: float, started: float) -> None:
        """Validate, keep the best, log, save; of several workers the chief does it, and the others go by its figures."""
        progress = self.progress
        with self._presented() as model:
            metrics = self.devices.agree(self._validate(model, self.log.watch) if self.log else {})
            improved = progress.plateau.update(metrics["miou"], patience=self.config.plateau_patience, factor=self.config.plateau_factor)
            seconds = progress.seconds + time.monotonic() - started
            card = replace(self._with_making(self.card, seconds), metrics={**metrics, "epoch": progress.epoch + 1})
            if self.devices.chief:
                if improved:
                    checkpoint.save(model, card, self.best)
                checkpoint.save(model, card, self.last)
        progress.seconds += time.monotonic() - started
        row = {"epoch": progress.epoch + 1, "phase": phase.name, "lr": lr, "loss": float(np.mean(progress.losses))}
        row |= {f"val_{key}": value for key, value in metrics.items()}
        progress.history.append({**row, "seconds": round(progress.seconds, 1)})
        progress.epoch, progress.step, progress.losses = progress.epoch + 1, 0, []
        self._save_state()

    @contextmanager
    def _presented(self) -> Iterator[keras.Model]:
        """What is validated and saved: the average of the weights where there is one."""
        with self.average.in_place() if self.average else nullcontext():
            yield self._local()

    def _with_making(self, card: Card, seconds: float) -> Card:
        return replace(card, made=record.made(self.config, seconds, self.progress.before))

    def _told_best(self) -> Card:
        """The best checkpoint's card, which at the end tells the hours of the whole run: so many it takes to get there again."""
        card = self._with_making(checkpoint.read_card(self.best), self.progress.seconds)
        card.save(card_path(self.best))
        return card

    def _local(self) -> keras.Model:
        """The net on this machine alone. All workers have to ask for it together: to read a shared net takes all of them."""
        if self.devices.strategy is None:
            return self.model
        self.copy = self.copy or archs.build(self.card)
        self.copy.set_weights(self.model.get_weights())
        return self.copy

    def _save_state(self) -> None:
        groups = {"optimizer": optimiser.state_of(self.optimizer), "average": self.average.variables if self.average else []}
        model = self._local()
        if self.devices.chief:
            state.save(self.state_path, model, groups, self.progress)

    def _not_finite(self, value: float, indices: np.ndarray, lr: float) -> str:
        names = ", ".join(self.dataset.train.name(int(index)) for index in indices)
        return (
            f"the loss became {value} at epoch {self.progress.epoch + 1}, step {self.progress.step + 1}, learning rate {lr:.2e}; "
            f"pictures of that batch: {names}. Lower --lr or check those pictures; checkpoints up to the last epoch are in {self.folder}"
        )


def _summary_line(row: dict[str, Any], total: int) -> str:
    return (
        f"epoch {row['epoch']:>3}/{total}  loss {row['loss']:.4f}  val mIoU {row['val_miou']:.2f}  IoU {row['val_iou']:.2f}  "
        f"MAE {row['val_mae']:.4f}  lr {row['lr']:.1e}  {row['seconds'] / 60:.1f} min"
    )


def _fingerprint(source: Source, composer: Composer | None) -> str:
    teacher = [source.digest] if isinstance(source, Taught) else []
    backgrounds = [path.name for path in composer.backgrounds.paths] if composer else []
    names = "\n".join([*(source.name(index) for index in range(len(source))), *teacher, *backgrounds])
    return hashlib.sha256(names.encode()).hexdigest()[:16]


@contextmanager
def _signals(trainer: Trainer) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run after the running step; a second Ctrl-C ends it at once."""

    def request(number: int, frame: FrameType | None) -> None:
        if trainer.stop_requested:
            raise KeyboardInterrupt
        trainer.stop_requested = True
        print("\nstopping after this step; once more to stop at once", flush=True)

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

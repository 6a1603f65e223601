"""A teacher's predictions on disk, what a step learns from them, and runs with a teacher that are interrupted."""

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, checkpoint, image, layers
from portraitseg.archs import ArchSpec, Heads
from portraitseg.card import EMBEDDED, Card, card_path
from portraitseg.data.sources import Dataset
from portraitseg.data.unlabelled import Unlabelled
from portraitseg.errors import InputError
from portraitseg.runtime import foreign_card, open_artifact, predict
from portraitseg.training.config import TrainConfig
from portraitseg.training.objective import make_objective
from portraitseg.training.self_training import Rounds, confidence
from portraitseg.training.settings import LossSettings, TeacherSettings
from portraitseg.training.teacher import Teacher
from portraitseg.training.trainer import RunStoppedError, Trainer

ARTIFACT = Path(__file__).parents[2] / "models" / "munet_mnv2_transition-wm035-160-int8.tflite"


class Discs:
    """Bright discs on dark noise; the disc is the mask."""

    def __init__(self, count: int, *, seed: int = 0) -> None:
        self.count, self.seed, self.changed, self.broken = count, seed, (), ()

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"disc-{self.seed}-{index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index in self.broken:
            raise InputError(f"{self.name(index)} is broken")
        random = np.random.default_rng([self.seed, index])
        rows, columns = np.mgrid[:40, :48]
        centre = random.uniform(12, 30, 2)
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 100
        picture = random.integers(0, 90, (40, 48, 3)) + 150 * inside[..., None] + (index in self.changed)
        return picture.astype(np.uint8), (255 * inside).astype(np.uint8)


def tiny(x, *, wm, classes):
    x = layers.relu(layers.norm(layers.conv(x, 8, 3, stride=2, name="enc_conv"), name="enc_bn"), name="enc_relu")
    x = layers.Dropout(0.3, name="dec_dropout")(x)
    return layers.conv(layers.upsample(x, name="dec_up"), classes, 1, name="head_conv")


def three_heads(x, *, wm, classes):
    """Every output a 1x1 convolution of the picture."""
    logits, side, boundary = (keras.layers.Conv2D(classes, 1, use_bias=False, name=f"head_{name}")(x) for name in ("a", "b", "c"))
    return Heads(logits, {"side": side, "boundary": boundary})


@pytest.fixture(autouse=True)
def archs_of_tests(monkeypatch):
    monkeypatch.setitem(archs.ARCHS, "tiny", ArchSpec(builder=tiny, size=32, wm=1.0, encoder="mobilenet_v2", paper="-"))
    monkeypatch.setitem(archs.ARCHS, "three_heads", ArchSpec(builder=three_heads, size=32, paper="-"))
    yield
    keras.mixed_precision.set_global_policy("float32")


def save_net(path: Path, *, seed: int = 0, fit: str = "stretch") -> Path:
    """A checkpoint with weights whose probs vary over the picture."""
    keras.utils.set_random_seed(seed)
    card = dataclasses.replace(archs.new_card("tiny"), fit=fit)
    model = archs.build(card)
    model.get_layer("head_conv").set_weights([6 * weight for weight in model.get_layer("head_conv").get_weights()])
    checkpoint.save(model, card, path)
    return path


@pytest.fixture
def net(tmp_path) -> Path:
    return save_net(tmp_path / "net.h5")


class Counting:
    """A runtime that counts its calls, and is interrupted or gives NaN at one of them."""

    def __init__(self, runtime, *, stop: int = 0, nan: bool = False) -> None:
        self.runtime, self.card, self.stop, self.nan, self.calls = runtime, runtime.card, stop, nan, 0

    def __call__(self, picture):
        self.calls += 1
        if self.calls == self.stop:
            raise KeyboardInterrupt
        return self.runtime(picture) * (np.nan if self.nan else 1)


def teach(path: Path, cache: Path, source, **options):
    """The predictions, and how many pictures the net was asked for."""
    teacher = Teacher(path, cache)
    teacher.runtime = Counting(teacher.runtime, **options)
    return teacher.predict(source), teacher.runtime.calls


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_cached_is_what_the_net_says(tmp_path, fit):
    path = save_net(tmp_path / "net.h5", fit=fit)
    predictions, _ = teach(path, tmp_path / "cache", Discs(5))
    runtime = open_artifact(path)
    for index in range(5):
        picture, _ = Discs(5).load(index)
        direct = predict(runtime, picture)
        assert direct.std() > 0.05
        cached = predictions.load(index, (40, 48))
        assert np.abs(cached / 255 - direct).max() <= 1 / 255  # half a step when it is kept, half a step at the picture's size


def test_each_picture_is_predicted_once_by_each_teacher(tmp_path, net):
    cache, source = tmp_path / "cache", Discs(6)
    first, calls = teach(net, cache, source)
    assert calls == 6
    assert teach(net, cache, source) == (first, 0)
    source.changed = (2, 4)
    changed, calls = teach(net, cache, source)
    assert calls == 2
    assert [a != b for a, b in zip(first.paths, changed.paths, strict=True)] == [False, False, True, False, True, False]
    other, calls = teach(save_net(tmp_path / "other" / "net.h5", seed=1), cache, Discs(6))
    assert calls == 6
    assert not np.array_equal(other.load(0, (40, 48)), first.load(0, (40, 48)))
    dataclasses.replace(Card.load(card_path(net)), fit="letterbox").save(card_path(net))
    assert teach(net, cache, Discs(6))[1] == 6


def test_a_damaged_prediction_is_made_again(tmp_path, net):
    predictions, _ = teach(net, tmp_path / "cache", Discs(4))
    wanted = predictions.load(1, (40, 48))
    content = predictions.paths[1].read_bytes()
    predictions.paths[1].write_bytes(content[: len(content) // 2])
    predictions.paths[2].unlink()
    again, calls = teach(net, tmp_path / "cache", Discs(4))
    assert calls == 2
    assert np.array_equal(again.load(1, (40, 48)), wanted)


def test_interrupted_it_goes_on_where_it_was(tmp_path, net):
    with pytest.raises(KeyboardInterrupt):
        teach(net, tmp_path / "cache", Discs(12), stop=5)
    made = len(list((tmp_path / "cache").rglob("[!.]*.png")))
    assert 4 <= made < 12
    assert teach(net, tmp_path / "cache", Discs(12))[1] == 12 - made


def test_a_picture_that_cannot_be_read_is_no_obstacle(tmp_path, net):
    source = Discs(4)
    source.broken = (1,)
    predictions, calls = teach(net, tmp_path / "cache", source)
    assert calls == 3
    with pytest.raises(InputError):
        predictions.load(1, (40, 48))
    predictions.load(2, (40, 48))


def test_an_artifact_teaches_and_one_of_another_project_by_its_input_range(tmp_path):
    teacher = Teacher(ARTIFACT, tmp_path / "cache")
    picture, _ = Discs(1).load(0)
    cached = teacher.predict(Discs(1)).load(0, (40, 48))
    assert np.abs(cached / 255 - predict(open_artifact(ARTIFACT), picture)).max() <= 1 / 255
    alone = tmp_path / "alone.tflite"
    content = ARTIFACT.with_name(ARTIFACT.name.replace("int8", "fp32")).read_bytes()
    alone.write_bytes(content.replace(EMBEDDED.encode(), b"a block of others"[: len(EMBEDDED)]))  # no card inside either
    with pytest.raises(InputError, match=r"cannot use the teacher: .*alone\.tflite has no card.*--teacher-input-range -?\d"):
        Teacher(alone, tmp_path / "cache")
    found = Teacher(alone, tmp_path / "cache", input_range="-1..1").predict(Discs(1)).load(0, (40, 48))
    direct = predict(open_artifact(alone, card=foreign_card(alone, input_range="-1..1")), picture)
    assert np.abs(found / 255 - direct).max() <= 1 / 255


def broken_weights(folder):
    net = save_net(folder / "net.h5")
    net.write_bytes(net.read_bytes()[:500])
    return net


def another_card(folder):
    net = save_net(folder / "net.h5")
    archs.new_card("three_heads").save(card_path(net))
    return net


def without_card(folder):
    net = save_net(folder / "net.h5")
    card_path(net).unlink()
    return net


def truncated_artifact(folder):
    path = folder / "net.tflite"
    path.write_bytes(ARTIFACT.read_bytes()[:1000])
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.h5", "no model file"),
        (lambda folder: folder / "none.txt", "it must be .tflite"),
        (broken_weights, "not a whole HDF5 file"),
        (another_card, "does not hold the weights of three_heads"),
        (without_card, "no card"),
        (truncated_artifact, "cannot open"),
    ],
)
def test_a_teacher_that_cannot_be_used(tmp_path, make, message):
    with pytest.raises(InputError, match=f"cannot use the teacher: .*{message}"):
        Teacher(make(tmp_path), tmp_path / "cache")


def test_a_teacher_that_gives_nan_is_refused(tmp_path, net):
    with pytest.raises(InputError, match=r"the teacher .*net\.h5 gives NaN for disc-0-0"):
        teach(net, tmp_path / "cache", Discs(1), nan=True)


random = np.random.default_rng(0)
X = random.uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
MASK = (random.uniform(size=(4, 32, 32, 1)) > 0.4).astype(np.float32)
PROB = random.uniform(0.05, 0.95, (4, 32, 32, 1)).astype(np.float32)


def batch_of(labelled, mask=MASK, taught=(True,) * 4):
    arrays = {"x": X, "mask": mask, "teacher": PROB, "labelled": np.array(labelled, bool), "taught": np.array(taught, bool)}
    return {name: tf.constant(value) for name, value in arrays.items()}


def value_and_gradients(model, batch, *, weight, boundary_weight=0.5, loss="bce=1,dice=0.5", compiled=False):
    settings = LossSettings(loss=loss, boundary_weight=boundary_weight)
    objective = make_objective(settings, TeacherSettings(distill_weight=weight, distill_temperature=2.0))

    def run():
        with tf.GradientTape() as tape:
            value = objective(model, batch)
        return value, tape.gradient(value, model.trainable_variables)

    value, gradients = tf.function(run)() if compiled else run()
    return float(value), [gradient.numpy() for gradient in gradients]


@pytest.fixture
def heads():
    keras.utils.set_random_seed(1)
    return archs.build(archs.new_card("three_heads"))


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def divergence_from_teacher(logits, rows=slice(None)):
    """At temperature 2, and its slope for each logit."""
    prob, logits = PROB[rows], logits[rows]
    q, p = sigmoid(np.log(prob / (1 - prob)) / 2), sigmoid(logits / 2)
    return 4 * (q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))).mean(), 2 * (p - q) / p.size


def test_a_steps_loss_is_numpys(heads):
    """BCE of the labelled ones' masks by two heads, 0.7 times 4 KL at temperature 2 of all four by the logits."""
    logits, side, _ = (value.numpy().astype(float) for value in heads(X))
    rows = [0, 3]
    supervised = sum(-(MASK * np.log(sigmoid(z)) + (1 - MASK) * np.log(sigmoid(-z)))[rows].mean() for z in (logits, side))
    divergence, _ = divergence_from_teacher(logits)
    found, _ = value_and_gradients(heads, batch_of([1, 0, 0, 1]), weight=0.7, boundary_weight=0.0, loss="bce=1")
    assert found == pytest.approx(supervised + 0.7 * divergence, rel=1e-4)


def test_what_the_teacher_has_not_seen_it_does_not_teach(heads):
    logits = heads(X)[0].numpy().astype(float)
    without, _ = value_and_gradients(heads, batch_of([1] * 4, taught=[0] * 4), weight=0.7, compiled=True)
    some, _ = value_and_gradients(heads, batch_of([1] * 4, taught=[1, 0, 0, 1]), weight=0.7, compiled=True)
    assert some - without == pytest.approx(0.7 * divergence_from_teacher(logits, [0, 3])[0], rel=1e-3)


def test_masks_of_unlabelled_samples_teach_nothing(heads):
    other = MASK.copy()
    other[1:3] = 1 - other[1:3]
    for first, second in zip(
        value_and_gradients(heads, batch_of([1, 0, 0, 1]), weight=0.7),
        value_and_gradients(heads, batch_of([1, 0, 0, 1], other), weight=0.7),
        strict=True,
    ):
        assert all(np.array_equal(a, b) for a, b in zip(np.atleast_1d(first), np.atleast_1d(second), strict=True))
    labelled = value_and_gradients(heads, batch_of([1, 1, 0, 1]), weight=0.7)[0]
    assert labelled != value_and_gradients(heads, batch_of([1, 1, 0, 1], other), weight=0.7)[0]


def test_a_batch_without_any_label_learns_from_the_teacher_alone(heads):
    value, (logits, side, boundary) = value_and_gradients(heads, batch_of([0, 0, 0, 0]), weight=0.7, compiled=True)
    wanted, slope = divergence_from_teacher(heads(X)[0].numpy().astype(float))
    assert value == pytest.approx(0.7 * wanted, rel=1e-4)
    np.testing.assert_allclose(logits[0, 0], 0.7 * np.einsum("nhwc,nhwo->co", X, slope), rtol=1e-3, atol=1e-7)
    assert not side.any()
    assert not boundary.any()


def config(folder, **changes) -> TrainConfig:
    return TrainConfig(**{"arch": "tiny", "epochs": 3, "batch": 4, "warmup": 2, "lr": 1e-2, "out": folder, **changes})


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Unlabelled pictures, six with a disc and two of noise."""
    folder = tmp_path / "more"
    for index in range(6):
        image.write(folder / f"{index}.png", Discs(6, seed=7).load(index)[0])
    for index in (6, 7):
        image.write(folder / f"{index}.png", np.random.default_rng(index).integers(0, 90, (40, 48, 3)).astype(np.uint8))
    return folder


@pytest.fixture
def dataset():
    return Dataset(train=Discs(16), val=Discs(4, seed=1), report=[])


def weights(folder: Path):
    return checkpoint.load(folder / "last.h5")[0].get_weights()


def stop_at(trainer: Trainer, *, epoch: int, step: int) -> None:
    """Let the run receive a Ctrl-C while it takes a step, both from 0."""
    objective = trainer._batches

    def watched():
        for batch in objective():
            if (trainer.progress.epoch, trainer.progress.step) == (epoch, step):
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    trainer._batches = watched


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"distill_boundary": 4.0}, {"precision": "mixed_float16"}])
def test_interrupted_with_a_teacher_and_resumed_equals_uninterrupted(tmp_path, net, pictures, dataset, changes):
    settings = config(tmp_path, teacher=(net,), unlabelled=pictures, epochs=2, **changes)

    def taught():
        return Rounds(settings, dataset).dataset_of(None)[0]

    Trainer(settings, taught(), tmp_path / "whole").fit()
    first = Trainer(settings, taught(), tmp_path / "parts")
    assert first._steps_per_epoch() == 6
    stop_at(first, epoch=1, step=2)
    with pytest.raises(RunStoppedError):
        first.fit()
    Trainer(settings, taught(), tmp_path / "parts", resume=True).fit()
    assert all(np.array_equal(a, b) for a, b in zip(weights(tmp_path / "whole"), weights(tmp_path / "parts"), strict=True))
    save_net(net, seed=5)
    with pytest.raises(InputError, match="or the teacher"):
        Trainer(settings, taught(), tmp_path / "parts", resume=True)


def test_the_student_comes_nearer_to_its_teacher(tmp_path, net, pictures, dataset):
    """Without any mask of its own: learned from the unlabelled pictures alone."""
    nothing = dataclasses.replace(dataset, train=Unlabelled(pictures, 30 * tuple(sorted(pictures.glob("*.png")))))
    settings = config(tmp_path, teacher=(net,), epochs=1, augment="none", loss="bce=0.001", distill_weight=5.0, schedule="constant")
    trainer = Trainer(settings, Rounds(settings, nothing).dataset_of(None)[0], tmp_path / "run")
    picture, teacher = Discs(1, seed=9).load(0)[0], open_artifact(net)

    def distance():
        checkpoint.save(trainer.model, trainer.card, tmp_path / "now.h5")
        return np.abs(open_artifact(tmp_path / "now.h5")(picture) - teacher(picture)).mean()

    before = distance()
    trainer.fit()
    assert distance() < 0.5 * before


def test_of_several_teachers_the_nearest_to_the_mask_teaches_and_all_where_there_is_none(tmp_path, pictures, dataset):
    knows, opposite = sure_of_discs(tmp_path / "knows.h5"), sure_of_discs(tmp_path / "opposite.h5")
    model, card = checkpoint.load(opposite)
    model.get_layer("head_a").set_weights([np.full((1, 1, 3, 1), -10.0)])
    checkpoint.save(model, card, opposite)
    settings = config(tmp_path, teacher=(opposite, knows), unlabelled=pictures)
    taught, report = Rounds(settings, dataset).dataset_of(None)
    assert [line.split(" teaches ")[1] for line in report] == ["0 of 16 pictures", "16 of 16 pictures"]
    good, bad = open_artifact(knows), open_artifact(opposite)
    for index in range(16):
        picture, mask = taught.train.load(index)
        prob = taught.train.teacher.load(index, mask.shape) / 255
        assert np.abs(prob - predict(good, picture)).max() <= 1 / 255
        assert np.minimum(prob, mask / 255).sum() > 0.8 * np.maximum(prob, mask / 255).sum()
    picture, mask = taught.train.load(20)
    mean = (predict(good, picture) + predict(bad, picture)) / 2
    assert np.abs(taught.train.teacher.load(20, mask.shape) / 255 - mean).max() <= 1.01 / 255
    assert np.array_equal(mask, taught.train.teacher.load(20, mask.shape))


def test_confidence_by_hand():
    prob = np.zeros((10, 10), np.uint8)
    assert confidence(prob) == 0
    prob[:6] = 255
    assert confidence(prob) == 1
    prob[6:8] = 100  # 60 sure pixels of 80 possible ones
    assert confidence(prob) == 0.75
    assert confidence(np.full((4, 4), 128, np.uint8)) == 0
    assert confidence(np.full((4, 4), 191, np.uint8)) == confidence(np.array([[191, 63]], np.uint8)) == 1  # 0.75 counts, below 0.25 not


def test_a_round_adds_the_pictures_that_the_net_is_sure_of(tmp_path, pictures, dataset):
    student = sure_of_discs(tmp_path / "best.h5")
    settings = config(tmp_path, unlabelled=pictures, rounds=2, confidence=0.6)
    rounds = Rounds(settings, dataset)
    assert rounds.dataset_of(None)[0].train is dataset.train
    (taught, report), runtime = rounds.dataset_of(student), open_artifact(student)
    assert len(taught.train) == 16 + 6
    assert "of 6 of 8 unlabelled pictures" in report[0]
    for index in range(6):
        assert taught.train.name(16 + index) == f"more/{index}.png"
        picture, mask = taught.train.load(16 + index)
        assert np.array_equal(picture, Discs(6, seed=7).load(index)[0])
        assert np.abs(mask / 255 - predict(runtime, picture)).max() <= 1 / 255
        assert np.mean((mask > 127) == (Discs(6, seed=7).load(index)[1] > 127)) > 0.9
    with pytest.raises(InputError, match=r"sure of none of its 8 masks: confidence 0\.\d+ in the middle .* lower --confidence"):
        Rounds(dataclasses.replace(settings, confidence=1.0), dataset).dataset_of(student)


def test_with_a_teacher_too_the_unsure_pictures_stay_and_have_no_mask(tmp_path, net, pictures, dataset):
    settings = config(tmp_path, teacher=(net,), unlabelled=pictures, rounds=2, confidence=0.6)
    rounds = Rounds(settings, dataset)
    first, (second, _) = rounds.dataset_of(None)[0].train, rounds.dataset_of(sure_of_discs(tmp_path / "best.h5"))
    assert (len(first), first.labelled) == (24, 16)
    assert (len(second.train), second.train.labelled) == (24, 22)
    runtime = open_artifact(net)
    for index in range(24):
        picture, _ = second.train.load(index)
        assert np.abs(second.train.teacher.load(index, picture.shape[:2]) / 255 - predict(runtime, picture)).max() <= 1 / 255
    assert np.array_equal(second.train.load(23)[1], second.train.teacher.load(23, (40, 48)))


def sure_of_discs(path: Path) -> Path:
    """A net that calls bright pixels the person: its logit is 30 (brightness - 0.2), brightness from -1 to 1."""
    card = archs.new_card("three_heads")
    model = archs.build(card)
    model.get_layer("head_a").set_weights([np.full((1, 1, 3, 1), 10.0)])
    checkpoint.save(model, card, path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unlabelled": Path("x")}, "give a --teacher MODEL, or --rounds 2"),
        ({"rounds": 2}, "--rounds 2 needs pictures .* --unlabelled DIR"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"confidence": 1.5}, "confidence in"),
        ({"teacher": (Path("x"),), "distill_weight": 0.0}, "must be above 0"),
        ({"teacher": (Path("x"),), "distill_temperature": -1.0}, "must be above 0"),
        ({"distill_boundary": 2.0}, "--distill-boundary concerns a teacher; give --teacher or --view-teacher"),
    ],
)
def test_settings_that_make_no_sense_together(changes, message):
    with pytest.raises(InputError, match=message):
        TeacherSettings(**changes).check_teaching()


def test_settings_survive_their_file(tmp_path):
    settings = config(tmp_path, teacher=(Path("a.h5"),), unlabelled=Path("b"), teacher_cache=Path("c"))
    settings.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json") == settings

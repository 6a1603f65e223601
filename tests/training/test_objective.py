"""The objective with side outputs, boundaries and two views, against numpy on heads that numpy can work out."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, losses
from portraitseg.archs import ArchSpec, Heads
from portraitseg.card import CAFFE
from portraitseg.data.sources import Dataset
from portraitseg.errors import InputError
from portraitseg.training.config import TrainConfig
from portraitseg.training.objective import head_weights, make_objective
from portraitseg.training.settings import LossSettings
from portraitseg.training.texture import make_texture
from portraitseg.training.trainer import Trainer
from tests.tiny import SPEC

SIZE = 32
random = np.random.default_rng(0)
PICTURE = random.integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.float32)
X = PICTURE - np.float32(CAFFE.mean)
MASK = np.zeros((3, SIZE, SIZE, 1), np.float32)
MASK[0, 5:20, 8:25] = 1
MASK[1, 10:, :14] = 1
KERNELS = {"logits": (3, 2), "boundary": (3, 2), "side1": (3, 2), "side2": (3, 2)}
KERNELS = {name: random.normal(size=shape) / 60 for name, shape in KERNELS.items()}


def heads_of(*names):
    """An arch whose outputs are 1x1 convolutions of the picture."""

    def builder(x, *, wm, classes):
        outputs = {name: keras.layers.Conv2D(classes, 1, use_bias=False, name=f"head_{name}")(x) for name in names}
        return Heads(outputs.pop("logits"), outputs)

    return ArchSpec(builder=builder, size=SIZE, input=CAFFE, paper="-")


@pytest.fixture
def net(monkeypatch):
    """(names) -> model and card of a net with those heads, of two channels."""

    def make(*names):
        monkeypatch.setitem(archs.ARCHS, "heads", heads_of("logits", *names))
        card = archs.new_card("heads", classes=2)
        model = archs.build(card)
        for name in ("logits", *names):
            model.get_layer(f"head_{name}").set_weights([KERNELS[name][None, None]])
        return model, card

    return make


def batch():
    return {"x": tf.constant(X), "mask": tf.constant(MASK)}


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def cross_entropy(target, logits):
    """Two-channel softmax cross-entropy, as PortraitNet's."""
    logs = log_softmax(logits)
    return -(target * logs[..., 1:] + (1 - target) * logs[..., :1])


def focal(target, logits):
    cost = cross_entropy(target, logits)
    return ((1 - np.exp(-cost)) ** 2 * cost).mean()


def portrait_net(original, textured, kernel, edge_kernel, *, alpha, temperature, teacher=None):
    """L = CE(mask|textured) + CE(mask|original) + alpha T^2 KL + 0.1 focal(boundary|textured), in float64."""
    band = losses.boundary_band(tf.constant(MASK)).numpy()
    ours, theirs = original @ kernel, textured @ kernel
    target = log_softmax((ours if teacher is None else teacher) / temperature)
    divergence = (np.exp(target) * (target - log_softmax(theirs / temperature))).mean()
    value = cross_entropy(MASK, theirs).mean() + cross_entropy(MASK, ours).mean() + alpha * temperature**2 * divergence
    return value + 0.1 * focal(band, textured @ edge_kernel)


@pytest.mark.parametrize(("alpha", "temperature"), [(2.0, 1.0), (0.5, 3.0)])
def test_two_views_are_portrait_nets_loss_and_slope(net, alpha, temperature):
    model, card = net("boundary")
    settings = LossSettings(loss="bce=1", consistency=alpha, consistency_temperature=temperature)
    objective = tf.function(make_objective(settings, card=card))
    generator = tf.random.get_global_generator()
    generator.reset_from_seed(11)
    textured = make_texture(card)(tf.constant(X)).numpy().astype(np.float64)
    assert np.abs(textured - X).mean() > 5
    generator.reset_from_seed(11)
    with tf.GradientTape() as tape:
        value = objective(model, batch())
    of_logits, of_boundary = tape.gradient(value, [model.get_layer(f"head_{name}").kernel for name in ("logits", "boundary")])
    original, kernel, edge_kernel = X.astype(np.float64), KERNELS["logits"], KERNELS["boundary"]
    changes = {"alpha": alpha, "temperature": temperature}
    assert float(value) == pytest.approx(portrait_net(original, textured, kernel, edge_kernel, **changes), rel=1e-5)

    def slope(which):
        """Central differences; the teacher of the divergence stays where it is."""
        found = np.zeros((3, 2))
        for index in np.ndindex(3, 2):
            for sign in (1, -1):
                moved = {"logits": kernel.copy(), "boundary": edge_kernel.copy()}
                moved[which][index] += sign * 1e-6
                at = portrait_net(original, textured, moved["logits"], moved["boundary"], teacher=original @ kernel, **changes)
                found[index] += sign * at / 2e-6
        return found

    for gradient, which in ((of_logits, "logits"), (of_boundary, "boundary")):
        wanted = slope(which)
        assert np.abs(wanted).max() > 1e-3
        np.testing.assert_allclose(gradient[0, 0], wanted, rtol=2e-3, atol=2e-4)


def test_without_consistency_there_is_one_view_of_the_picture_as_it_is(net):
    model, card = net()
    wanted = cross_entropy(MASK, X.astype(np.float64) @ KERNELS["logits"]).mean()
    assert float(make_objective(LossSettings(loss="bce=1"), card=card)(model, batch())) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", losses.BOUNDARIES)
def test_the_boundary_head_is_fitted_to_the_chosen_kind_and_width(net, kind):
    model, card = net("boundary")
    settings = LossSettings(loss="bce=1", boundary=kind, boundary_width=2, boundary_weight=3.0)
    target = losses.BOUNDARIES[kind](tf.constant(MASK), 2).numpy()
    wanted = cross_entropy(MASK, X.astype(np.float64) @ KERNELS["logits"]).mean() + 3 * focal(
        target, X.astype(np.float64) @ KERNELS["boundary"]
    )
    assert float(make_objective(settings, card=card)(model, batch())) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "weights"),
    [("1", (1, 1, 1)), ("0.25", (1, 0.25, 0.25)), ("0.5,1,0.2", (0.5, 1, 0.2)), ("1, 0, 2", (1, 0, 2)), ("0", (1, 0, 0))],
)
@pytest.mark.parametrize("others", [("side1", "side2"), ("boundary", "side1", "side2")])
def test_side_outputs_count_by_their_weights(net, text, weights, others):
    model, card = net(*others)
    value = float(make_objective(LossSettings(loss="bce=1", side_weights=text, boundary_weight=0.0), card=card)(model, batch()))
    parts = [cross_entropy(MASK, X.astype(np.float64) @ KERNELS[name]).mean() for name in ("logits", "side1", "side2")]
    assert value == pytest.approx(np.dot(weights, parts), rel=1e-5)


def test_two_views_supervise_the_side_outputs_of_both(net):
    model, card = net("side1")
    tf.random.get_global_generator().reset_from_seed(2)
    textured = make_texture(card)(tf.constant(X)).numpy().astype(np.float64)
    tf.random.get_global_generator().reset_from_seed(2)
    value = float(make_objective(LossSettings(loss="bce=1", side_weights="0.5", consistency=1e-9), card=card)(model, batch()))
    views = [(weight, x @ KERNELS[name]) for x in (X.astype(np.float64), textured) for name, weight in (("logits", 1), ("side1", 0.5))]
    assert value == pytest.approx(sum(weight * cross_entropy(MASK, logits).mean() for weight, logits in views), rel=1e-5)


def test_a_wrong_number_of_side_weights_names_the_heads():
    names = ["logits", "boundary", "side1", "side2"]
    assert head_weights("1,2,3", names) == {"logits": 1, "side1": 2, "side2": 3}
    for text in ("1,1", "1,1,1,1"):
        with pytest.raises(
            InputError, match="with 2 side outputs; give one for every side output, or 3, in this order: logits, side1, side2"
        ):
            head_weights(text, names)


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "count"), [("u2netp", 7), ("resunet", 4)])
def test_the_nets_with_side_outputs_take_so_many_weights(arch, count):
    names = archs.build(archs.new_card(arch, size=32, wm=0.125)).output_names
    assert len(head_weights(",".join(["1"] * count), names)) == count
    with pytest.raises(InputError, match=f"or {count}, in this order: logits, side1, side2, side3"):
        head_weights("1,1", names)


@pytest.mark.parametrize("text", ["", "1,x", "-1", "nan", "1,inf,1"])
def test_side_weights_that_are_no_weights_are_refused(text):
    with pytest.raises(InputError, match="side-weights takes numbers of at least 0"):
        head_weights(text, ["logits", "side1", "side2"])


@pytest.mark.parametrize("text", ["0.5", "1,1"])
def test_side_weights_of_a_net_without_side_outputs_are_refused(text):
    assert head_weights("1", ["logits", "boundary"]) == {"logits": 1.0}
    with pytest.raises(InputError, match="does not fit a net with 0 side outputs; leave them out"):
        head_weights(text, ["logits", "boundary"])


@pytest.mark.parametrize(
    "changes",
    [
        {"band_width": 0},
        {"boundary_width": 0},
        {"boundary_weight": -1.0},
        {"consistency": -0.1},
        {"consistency": float("nan")},
        {"consistency_temperature": 0.0},
    ],
)
def test_numbers_out_of_range_are_refused(changes):
    (name,) = changes
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} must be"):
        make_objective(LossSettings(**changes))


def test_two_views_need_the_inputs_range():
    with pytest.raises(ValueError, match="needs the card"):
        make_objective(LossSettings(consistency=1.0))


class Grey:
    """Eight grey pictures with a square."""

    def __len__(self):
        return 8

    def name(self, index):
        return f"grey-{index}"

    def load(self, index):
        mask = np.zeros((40, 40), np.uint8)
        mask[10:30, 5 + index : 25 + index] = 255
        return np.full((40, 40, 3), 120, np.uint8), mask


@pytest.mark.parametrize("consistency", [0.0, 2.0])
def test_with_two_views_the_pipeline_changes_geometry_alone(tmp_path, monkeypatch, consistency):
    """Grey pictures, warped, keep their one grey value; the pipeline's own colours and noise would change it."""
    monkeypatch.setitem(archs.ARCHS, "tiny", SPEC)
    config = TrainConfig(arch="tiny", epochs=1, batch=8, consistency=consistency, augment="strong")
    (found,) = Trainer(config, Dataset(train=Grey(), val=Grey(), report=[]), tmp_path)._batches()
    assert len({mask.sum() for mask in found["mask"].numpy()}) > 4
    assert (np.ptp(found["x"]) < 1e-6) == bool(consistency)


def test_a_run_says_at_its_start_that_side_weights_do_not_fit(tmp_path, monkeypatch):
    monkeypatch.setitem(archs.ARCHS, "tiny", SPEC)
    with pytest.raises(InputError, match="does not fit a net with 0 side outputs"):
        Trainer(TrainConfig(arch="tiny", side_weights="1,1"), Dataset(train=Grey(), val=Grey(), report=[]), tmp_path)

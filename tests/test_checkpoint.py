"""Checkpoints: what was saved comes back, and nothing else is accepted or executed."""

import dataclasses
import errno
import os
import resource
import tempfile
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
import tf_keras as keras

from portraitseg import archs, checkpoint
from portraitseg.errors import InputError
from portraitseg.training import state


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    card = archs.new_card("munet_mnv2_transition", size=64)
    model = archs.build(card)
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, value.shape) for value in model.get_weights()])
    path = tmp_path_factory.mktemp("checkpoint") / "best.h5"
    checkpoint.save(model, card, path)
    return model, card, path


def copy(saved, folder, **changes):
    """The checkpoint in another folder, its card changed."""
    _, card, path = saved
    target = folder / "best.h5"
    target.write_bytes(path.read_bytes())
    dataclasses.replace(card, **changes).save(target.with_suffix(".json"))
    return target


def test_comes_back_bit_identical(saved):
    model, card, path = saved
    loaded, loaded_card = checkpoint.load(path)
    assert loaded_card == card
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))


def test_keras_itself_can_read_the_weights(saved):
    model, card, path = saved
    other = archs.build(card)
    other.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))


def test_a_whole_keras_model_file_gives_its_weights(saved, tmp_path):
    model, card, _ = saved
    model.save(tmp_path / "model.h5")
    card.save(tmp_path / "model.json")
    loaded, _ = checkpoint.load(tmp_path / "model.h5")
    assert np.array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_another_net_starts_from_the_layers_that_it_shares(saved):
    """Of another size, with a prior channel: all of them; with another decoder: the encoder's."""
    model, _, _ = saved
    larger = archs.build(archs.new_card("munet_mnv2_transition", size=96, channels=4))
    assert checkpoint.take(larger, model, origin="it") == []
    for new, old in zip(larger.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(new[:, :, :3] if new.shape != old.shape else new, old)
    assert not larger.get_weights()[0][:, :, 3].any()
    other = archs.build(archs.new_card("munet_mnv2", wm=0.35, size=64))
    before = [layer.get_weights() for layer in other.layers]
    missing = checkpoint.take(other, model, origin="it")
    assert missing and not any(name.startswith("enc_") for name in missing)
    for layer, weights in zip(other.layers, before, strict=True):
        wanted = weights if layer.name in missing or not weights else model.get_layer(layer.name).get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), wanted, strict=True))


def test_a_net_of_another_kind_does_not_start_from_it(saved):
    other = archs.build(archs.new_card("slim_net", size=64))
    with pytest.raises(InputError, match="it has no layer of slim_net in its shape"):
        checkpoint.take(other, saved[0], origin="it")


@pytest.mark.parametrize("arch", ["munet_mnv3", "munet_mnv2"])
def test_another_arch_is_refused(saved, tmp_path, arch):
    with pytest.raises(InputError, match="does not hold the weights of"):
        checkpoint.load(copy(saved, tmp_path, arch=arch, options={"decoder": "deconv"} if arch == "munet_mnv2" else {}))


def test_another_width_is_refused(saved, tmp_path):
    with pytest.raises(InputError, match="does not hold the weights of munet_mnv2_transition-wm050-64: layer"):
        checkpoint.load(copy(saved, tmp_path, wm=0.5))


@pytest.mark.parametrize("keep", [0, 100, 5000, 200_000])
def test_truncated(saved, tmp_path, keep):
    path = copy(saved, tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="not a whole HDF5 file"):
        checkpoint.load(path)


def test_not_hdf5(saved, tmp_path):
    path = copy(saved, tmp_path)
    path.write_bytes(np.random.default_rng(0).bytes(10_000))
    with pytest.raises(InputError, match="not a whole HDF5 file"):
        checkpoint.load(path)


def test_code_in_a_file_is_never_run(saved, tmp_path):
    """A Keras file whose Lambda layer, were it rebuilt, would write a file."""
    _, card, _ = saved
    marker = tmp_path / "executed"
    image = keras.Input((64, 64, 3))
    out = keras.layers.Lambda(lambda x, path=str(marker): (open(path, "w").close(), x)[1])(image)  # noqa: PTH123
    keras.Model(image, out).save(tmp_path / "evil.h5")
    marker.unlink(missing_ok=True)
    card.save(tmp_path / "evil.json")
    with pytest.raises(InputError, match="does not hold the weights"):
        checkpoint.load(tmp_path / "evil.h5")
    assert not marker.exists()


def test_pickled_objects_in_a_file_are_never_read(saved, tmp_path):
    _, card, _ = saved
    with h5py.File(tmp_path / "pickle.h5", "w") as file:
        file["enc_Conv1"] = np.frombuffer(b"cos\nsystem\n(S'false'\ntR.", np.uint8)
    card.save(tmp_path / "pickle.json")
    with pytest.raises(InputError):
        checkpoint.load(tmp_path / "pickle.h5")


def test_missing_card_missing_file_wrong_suffix(saved, tmp_path):
    path = copy(saved, tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"no card .*best\.json"):
        checkpoint.load(path)
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoint.load(tmp_path / "other.h5")
    with pytest.raises(InputError, match=r"ends in \.h5"):
        checkpoint.load(saved[2].with_suffix(".json"))


@contextmanager
def full_disk():
    """Files of this process cannot grow beyond 10,000 bytes: what a full disk does to a write, without filling one.

    No fixture: pytest writes its own report before a fixture ends, maybe to a file that is longer by then.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_checkpoint(saved, tmp_path):
    model, card, _ = saved
    path = tmp_path / "best.h5"
    path.write_bytes(b"the old one")
    with pytest.raises(InputError, match=r"cannot write .*best\.h5.*free some space"), full_disk():
        checkpoint.save(model, card, path)
    assert path.read_bytes() == b"the old one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.h5"]


def test_a_full_disk_leaves_the_old_state(saved, tmp_path):
    model, _, _ = saved
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    with pytest.raises(InputError, match="free some space"), full_disk():
        state.save(tmp_path / "last.state.npz", model, {"optimizer": optimizer.variables}, state.Progress())
    assert not list(tmp_path.iterdir())


def test_a_read_only_disk_is_said_plainly(saved, tmp_path, monkeypatch):
    def read_only(*arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    model, card, _ = saved
    with pytest.raises(InputError, match=r"cannot write .*best\.h5: Read-only file system; choose an output folder"):
        checkpoint.save(model, card, tmp_path / "best.h5")

"""What holds for the files of every format: no card, damaged ones, hostile ones, threads, whose memory a prob is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from portraitseg import archs
from portraitseg.archs import ArchSpec
from portraitseg.card import SYMMETRIC, card_path
from portraitseg.errors import InputError
from portraitseg.parts import parts, sha256
from portraitseg.runtime import foreign_card, open_artifact

SIZE = 32
rng = np.random.default_rng(5)
PICTURES = rng.integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.uint8)
KERNEL, BIAS = rng.normal(0, 1.5, (3, 1)), 0.3
PROBS = 1 / (1 + np.exp(-((PICTURES / 127.5 - 1) @ KERNEL + BIAS)))[..., 0]
OTHERS = ("onnx", "onnx-nchw", "openvino", "saved_model", "frozen")


def one_layer(x, *, wm, classes):
    from tf_keras import layers

    return layers.Conv2D(classes, 1, name="head_conv")(x)


@pytest.fixture(scope="module")
def files(write_as, tmp_path_factory):
    """Kind -> file, of a net whose prob is `PROBS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(archs.ARCHS, "one_layer", ArchSpec(builder=one_layer, size=SIZE, input=SYMMETRIC, paper="-"))
        card = archs.new_card("one_layer")
        model = archs.build(card)
        model.get_layer("head_conv").set_weights([KERNEL[None, None], np.array([BIAS])])
        folder = tmp_path_factory.mktemp("files")
        return {kind: write_as(kind, model, card, folder) for kind in ("tflite", *OTHERS)}


@pytest.fixture(params=OTHERS)
def file(request, files, tmp_path):
    """A copy without a card, to be damaged."""
    path = tmp_path / files[request.param].name
    for part in parts(files[request.param]):
        copy = path / part.relative_to(files[request.param]) if files[request.param].is_dir() else tmp_path / part.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(part, copy)
    return path


def test_a_file_without_a_card_is_run_with_what_the_user_says(file):
    with pytest.raises(InputError, match=rf"{card_path(file).name}.*--input-range"):
        open_artifact(file)
    card = foreign_card(file, input_range="-1..1")
    assert (card.size, card.channels, card.classes, card.output) == ((SIZE, SIZE), 3, 1, "prob")
    assert card.layout == ("nchw" if "nchw" in file.name else "nhwc")
    np.testing.assert_allclose(open_artifact(file, card=card)(PICTURES[0]), PROBS[0], atol=1e-5)


def test_a_prob_stays_when_the_next_picture_is_run(files):
    for path in files.values():
        runtime = open_artifact(path)
        probs = [runtime(picture) for picture in PICTURES]
        np.testing.assert_allclose(probs, PROBS, atol=1e-5, err_msg=path.name)


def damaged(content):
    """A file cut short in three places, empty, and random."""
    return [content[: len(content) * part // 8] for part in (1, 4, 7)] + [b"", np.random.default_rng(0).bytes(len(content))]


def test_a_damaged_file_is_an_error_that_names_it(file):
    card = foreign_card(file, input_range="-1..1")
    for part in parts(file):
        if part.name == "fingerprint.pb":  # which TensorFlow does not need
            continue
        whole = part.read_bytes()
        for content in damaged(whole):
            part.write_bytes(content)
            with pytest.raises(InputError, match=file.name):
                open_artifact(file, card=card)(PICTURES[0])
        part.write_bytes(whole)
    assert open_artifact(file, card=card)(PICTURES[0]).std() > 0.1


def test_a_flipped_bit_in_any_of_its_files_is_refused_by_the_card(file):
    card = foreign_card(file, input_range="-1..1")
    card.save(card_path(file))
    card_path(file).write_text(json.dumps(json.loads(card_path(file).read_text()) | {"sha256": sha256(file)}))
    open_artifact(file)
    for part in parts(file):
        whole = bytearray(part.read_bytes())
        whole[len(whole) // 2] ^= 1
        part.write_bytes(whole)
        with pytest.raises(InputError, match="is damaged"):
            open_artifact(file)
        whole[len(whole) // 2] ^= 1
        part.write_bytes(whole)


def test_missing_parts_are_named(files, tmp_path):
    shutil.copy(files["openvino"], tmp_path / "net.xml")
    with pytest.raises(InputError, match=r"weights must be beside it in net\.bin"):
        open_artifact(tmp_path / "net.xml", card=foreign_card(files["openvino"], input_range="-1..1"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty.saved_model\.pb is no SavedModel"):
        foreign_card(tmp_path / "empty", input_range="-1..1")


def test_the_digest_of_several_files_is_that_of_their_list(files):
    listed = subprocess.run(["sha256sum", "net.xml", "net.bin"], cwd=files["openvino"].parent, capture_output=True, check=True).stdout
    again = subprocess.run(["sha256sum"], input=listed, capture_output=True, check=True).stdout.decode()
    assert sha256(files["openvino"]) == again.split()[0]
    command = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    done = subprocess.run(command, shell=True, cwd=files["saved_model"], capture_output=True, text=True, check=True)
    assert sha256(files["saved_model"]) == done.stdout.split()[0]


def test_a_graph_that_writes_files_is_not_run(tmp_path):
    import tensorflow as tf

    target = tmp_path / "written"

    def net(x):
        with tf.control_dependencies([tf.io.write_file(str(target), "x")]):
            return {"prob": tf.reduce_mean(x, 3, keepdims=True)}

    function = tf.function(net, input_signature=[tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, "image")])
    (tmp_path / "net.pb").write_bytes(function.get_concrete_function().graph.as_graph_def().SerializeToString())
    tf.saved_model.save(tf.Module(), str(tmp_path / "folder"), signatures=function)
    for name in ("net.pb", "folder"):
        with pytest.raises(InputError, match="is 'WriteFile'"):
            foreign_card(tmp_path / name, input_range="0..1")
    assert not target.exists()


def test_a_saved_model_that_runs_something_while_it_is_loaded_is_refused(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    keys = tf.lookup.KeyValueTensorInitializer([1], [2])
    module.table = tf.lookup.StaticHashTable(keys, 0)
    function = tf.function(lambda x: tf.reduce_mean(x, 3), input_signature=[tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "folder"), signatures=function)
    with pytest.raises(InputError, match=r"kind resource.*would run code"):
        foreign_card(tmp_path / "folder", input_range="0..1")


COUNT = """
import os, sys
from pathlib import Path
import numpy as np
from portraitseg.runtime import open_artifact
runtime = open_artifact(Path(sys.argv[1]), threads=int(sys.argv[2]))
runtime(np.zeros((32, 32, 3), np.uint8))
print(len(os.listdir("/proc/self/task")), *({"tensorflow", "onnxruntime", "openvino"} & set(sys.modules)))
"""


def count(path: Path, threads: int) -> tuple[int, set[str]]:
    """Threads of a process that runs the file, and which of the large libraries it loaded."""
    words = [sys.executable, "-c", COUNT, str(path), str(threads)]
    number, *libraries = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return int(number), set(libraries)


@pytest.mark.parametrize(("kind", "library"), [("tflite", set()), ("onnx", {"onnxruntime"}), ("openvino", {"openvino"})])
def test_threads_are_as_many_as_asked_for_and_no_other_library_is_loaded(files, kind, library):
    (few, loaded), (many, _) = count(files[kind], 1), count(files[kind], 2)
    assert many - few == 1
    assert loaded == library


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["saved_model", "frozen"])
def test_tensorflow_has_the_threads_asked_for(files, kind):
    (few, _), (many, loaded) = count(files[kind], 1), count(files[kind], 2)
    assert many - few == 1
    assert "tensorflow" in loaded

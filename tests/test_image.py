"""Pictures in and out: against Pillow's decoders, hand-made bytes and plain numpy."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from portraitseg import image
from portraitseg.card import SYMMETRIC, UNIT, Card, InputSpec
from portraitseg.errors import InputError

ORIENTATION = 0x0112


def picture(height: int = 60, width: int = 40) -> np.ndarray:
    """A smooth picture whose four corners and channels all differ."""
    coarse = np.random.default_rng(7).integers(0, 256, (4, 3, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def rgba() -> np.ndarray:
    """A picture whose alpha is a vertical ramp."""
    return np.dstack([picture(), np.repeat(np.linspace(0, 255, 60).astype(np.uint8)[:, None], 40, axis=1)])


def tagged(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def test_rgb_is_read_to_the_byte(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    assert np.array_equal(image.read(tmp_path / "a.png"), picture())


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(picture()[..., 0]).save(tmp_path / "a.png")
    assert np.array_equal(image.read(tmp_path / "a.png"), np.repeat(picture()[..., :1], 3, axis=2))


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture()[..., ::-1].astype(np.uint16) * 257)
    read = image.read(tmp_path / "a.png")
    assert read.dtype == np.uint8
    assert np.array_equal(read, picture())


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.fromarray(picture()).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    assert np.abs(image.read(tmp_path / "a.jpg").astype(int) - picture()).mean() < 3


def test_alpha_is_dropped_by_read_and_given_by_read_alpha(tmp_path: Path) -> None:
    Image.fromarray(rgba()).save(tmp_path / "a.png")
    assert np.array_equal(image.read(tmp_path / "a.png"), picture())
    assert np.array_equal(image.read_alpha(tmp_path / "a.png"), rgba()[..., 3])


def test_a_picture_without_alpha_has_none(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    assert image.read_alpha(tmp_path / "a.png") is None


@pytest.mark.parametrize(("suffix", "tolerance"), [("gif", 12), ("png", 0), ("webp", 0)])
def test_an_animation_gives_its_first_frame(tmp_path: Path, suffix: str, tolerance: int) -> None:
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(picture()).save(path, save_all=True, append_images=[Image.fromarray(255 - picture())], **options)
    with Image.open(path) as written:
        assert written.n_frames == 2
    assert np.abs(image.read(path).astype(int) - picture()).mean() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    Image.fromarray(rgba()).save(tmp_path / "a.png", exif=tagged(orientation))
    with Image.open(tmp_path / "a.png") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    assert np.array_equal(image.read(tmp_path / "a.png"), expected[..., :3])
    assert np.array_equal(image.read_alpha(tmp_path / "a.png"), expected[..., 3])


def test_a_jpeg_is_turned_upright(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.jpg", exif=tagged(6), quality=95)
    assert image.read(tmp_path / "a.jpg").shape == (40, 60, 3)


def test_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (3, 200, 90)).save(tmp_path / "a.png")
    read = image.read(tmp_path / "a.png")
    assert read.tolist() == [[[3, 200, 90]]]
    assert image.to_input(read, card()).shape == (32, 48, 3)


def test_twelve_thousand_pixels(tmp_path: Path) -> None:
    wide = cv2.resize(picture(), (12000, 2000))
    image.write(tmp_path / "a.jpg", wide)
    read = image.read(tmp_path / "a.jpg")
    assert read.shape == (2000, 12000, 3)
    assert np.abs(image.resize(read, (20, 120)).astype(int) - image.resize(wide, (20, 120))).max() <= 4


def test_a_path_with_other_letters(tmp_path: Path) -> None:
    path = tmp_path / "Zoë und 日本.png"
    image.write(path, picture())
    assert np.array_equal(image.read(path), picture())


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"this is a text, not a picture\n" * 9, "broken or no picture"), (b"\xff\xd8\xff\xe0", "truncated JPEG")],
)
def test_a_file_that_is_no_picture_is_named_with_the_remedy(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        image.read(tmp_path / "photo.jpg")
    assert "photo.jpg" in str(caught.value)
    assert ";" in str(caught.value)


@pytest.mark.parametrize("reader", [image.read, image.read_alpha, image.read_mask])
def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, reader) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            reader(path)


@pytest.mark.parametrize("kind", ["png", "webp", "bmp", "gif"])
def test_half_a_file_is_refused(tmp_path: Path, kind: str) -> None:
    Image.fromarray(picture()).save(tmp_path / f"a.{kind}")
    data = (tmp_path / f"a.{kind}").read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="broken or no picture"):
        image.read(tmp_path / f"a.{kind}")


def test_a_picture_beyond_the_decoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 40000 40000 255\n")  # 1.6e9 pixels
    with pytest.raises(InputError, match=r"2\^30 pixels"):
        image.read(tmp_path / "a.pgm")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_written_pictures_read_back(tmp_path: Path, suffix: str) -> None:
    image.write(tmp_path / f"new/a{suffix}", picture())
    with Image.open(tmp_path / f"new/a{suffix}") as stored:
        assert np.abs(np.asarray(stored).astype(int) - picture()).max() <= (0 if suffix == ".png" else 24)


def test_alpha_and_masks_are_written(tmp_path: Path) -> None:
    image.write(tmp_path / "a.png", rgba())
    image.write(tmp_path / "m.png", rgba()[..., 3])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), rgba())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "m.png")), rgba()[..., 3])


@pytest.mark.parametrize("name", ["a.gif", "a"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"\.png, \.jpg or \.jpeg"):
        image.write(tmp_path / name, picture())


def test_transparency_does_not_become_jpeg(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="transparency"):
        image.write(tmp_path / "a.jpg", rgba())


def test_a_side_too_long_for_jpeg_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too large"):
        image.write(tmp_path / "a.jpg", np.zeros((2, 70000, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    image.write(tmp_path / "a.png", picture())
    with pytest.raises(InputError, match="--force"):
        image.write(tmp_path / "a.png", 255 - picture())
    assert np.array_equal(image.read(tmp_path / "a.png"), picture())
    image.write(tmp_path / "a.png", 255 - picture(), force=True)
    assert np.array_equal(image.read(tmp_path / "a.png"), 255 - picture())


def card(**changes) -> Card:
    return Card(**({"arch": "any", "wm": 1.0, "size": (32, 48), "input": SYMMETRIC} | changes))


def test_stretch_is_area_then_mean_and_std() -> None:
    spec = InputSpec(mean=(120.0, 110.0, 100.0), std=(60.0, 50.0, 40.0))
    x = image.to_input(picture(97, 61), card(input=spec))
    area = cv2.resize(picture(97, 61), (48, 32), interpolation=cv2.INTER_AREA)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, (area - np.array([120.0, 110, 100])) / [60, 50, 40], atol=1e-6)


def test_bgr_nets_get_bgr_with_the_mean_in_that_order() -> None:
    spec = InputSpec(mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 1.0), order="bgr")
    x = image.to_input(np.full((32, 48, 3), (10, 20, 30), np.uint8), card(input=spec))
    assert x[0, 0].tolist() == [29.0, 18.0, 7.0]


def test_the_prior_of_a_single_picture_is_zero() -> None:
    x = image.to_input(picture(), card(channels=4, input=UNIT))
    assert x.shape == (32, 48, 4)
    assert x[..., :3].any()
    assert not x[..., 3].any()


def test_a_letterbox_is_padded_with_the_mean() -> None:
    white = np.full((100, 50, 3), 255, np.uint8)  # fills 32 x 16 of 32 x 48
    x = image.to_input(white, card(fit="letterbox"))
    expected = np.zeros((32, 48, 3), np.float32)
    expected[:, 16:32] = 1
    assert np.array_equal(x, expected)


@pytest.mark.parametrize("size", [(101, 37), (33, 257), (64, 96), (1, 500)])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_from_prob_undoes_the_fit(size: tuple[int, int], fit: str) -> None:
    """A ramp through the fit and back is the ramp again, up to the resampling at the borders."""
    ramp = np.add.outer(np.linspace(0, 120, size[0]), np.linspace(0, 120, size[1]))
    grey = np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2)
    prob = image.to_input(grey, card(size=(224, 224), input=UNIT, fit=fit))[..., 0]
    back = image.from_prob(prob, size, fit)
    assert back.shape == size
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, ramp / 255, atol=0.02)


def test_from_prob_of_a_letterbox_ignores_the_border() -> None:
    prob = np.zeros((32, 48), np.float32)
    prob[:, 16:32] = 0.75
    assert np.array_equal(image.from_prob(prob, (100, 50), "letterbox"), np.full((100, 50), 0.75, np.float32))


def test_from_prob_enlarges_bilinearly() -> None:
    out = image.from_prob(np.array([[0.0, 1.0]], np.float32), (1, 4), "stretch")
    np.testing.assert_allclose(out, [[0.0, 0.25, 0.75, 1.0]], atol=1e-6)


def test_masks_follow_their_pictures_into_the_letterbox() -> None:
    mask = np.full((100, 50), 255, np.uint8)
    x = image.to_input(np.repeat(mask[..., None], 3, axis=2), card(fit="letterbox", input=UNIT))
    assert np.array_equal(image.fit_mask(mask, (32, 48), "letterbox"), np.uint8(255 * x[..., 0]))


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(InputError, match='"stretch" or "letterbox"'):
        image.to_input(picture(), card(fit="crop"))


def test_the_base_install_is_enough() -> None:
    """Neither TensorFlow nor Pillow is loaded, and a broken file prints nothing to stderr."""
    code = (
        "import sys; from pathlib import Path; from portraitseg import image, sheet\n"
        "import cv2; cv2.imdecode(__import__('numpy').frombuffer(b'GIF89a' + bytes(9), 'uint8'), 1)\n"
        "print(sorted({'PIL', 'tensorflow', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""

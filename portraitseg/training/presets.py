"""Published recipes as settings, each with where it comes from and with what it does not reproduce.

A preset is a whole `TrainConfig`, so that its fields are checked where it is written, and `difference` shows what it changes. All
validate by mIoU, where the originals watch the loss, and take one split, augmentation and input range of ours, unless a note says more.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from portraitseg.errors import InputError
from portraitseg.training.config import TrainConfig

Config = TypeVar("Config", bound=TrainConfig)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One recipe."""

    config: TrainConfig
    source: str
    """Where it was published."""
    notes: tuple[str, ...]
    """What is not as it was there, and why."""


KERAS, PYTORCH = 0.99, 0.9
"""What the momentum of batch-norm statistics is by default there; PyTorch's 0.1 is of the new batch."""
ANILSATHYA = "github.com/anilsathyan7/Portrait-Segmentation"
PORTRAIT_NET = "github.com/dong-x16/PortraitNet; doi:10.1016/j.cag.2019.03.007"
SPLIT = "validated there on a fifth of the pictures, here on a tenth"
DECAY = "weight decay there also pulls at batch norm and biases"

PRESETS: dict[str, Preset] = {
    "mobile-unet": Preset(
        config=TrainConfig(
            arch="munet_mnv2", decoder="deconv", pretrained="imagenet", loss="bce=1", lr=1e-3, batch=32, epochs=300,
            schedule="plateau", plateau_factor=0.5, plateau_patience=15, min_lr=1e-6, bn_momentum=KERAS, warmup=0, clip_norm=0),
        source=f"{ANILSATHYA}, portrait_segmentation.ipynb (train.py there is the same with --decoder bilinear)",
        notes=(SPLIT, "the pictures of validation were augmented there",
               "pictures were normalised there as bytes and then divided by 255, to another range than in use; here to one range")),
    "mnv3-transition": Preset(
        config=TrainConfig(
            arch="munet_mnv3_transition", classes=2, pretrained="imagenet", loss="bce=1", batch=64,
            phases="decoder:10:1e-4:enc_,all:20:1e-4", lr=1e-4,
            schedule="plateau", plateau_factor=0.5, plateau_patience=5, min_lr=1e-6, bn_momentum=KERAS, warmup=0, clip_norm=0),
        source=f"{ANILSATHYA}, MobilenetV3/mnv3seg_tfsource.ipynb",
        notes=("the text there says 10 epochs for the second phase, the notebook 20", SPLIT,
               "the 10 epochs of quantization-aware training after it are not part of this")),
    "prisma": Preset(
        config=TrainConfig(
            arch="prisma_net", loss="bce=1", lr=1e-3, batch=64, epochs=300,
            schedule="plateau", plateau_factor=0.5, plateau_patience=3, min_lr=1e-6, bn_momentum=KERAS, warmup=0, clip_norm=0),
        source=f"{ANILSATHYA}, prisma_segmentation.ipynb",
        notes=("trained there on whole persons first, then on portraits; here on one set", SPLIT)),
    "portraitnet": Preset(
        config=TrainConfig(
            arch="portrait_net", up="deconv", classes=2, loss="bce=1", boundary="contour", boundary_width=4, boundary_weight=0.1,
            consistency=2.0, consistency_temperature=1.0, lr=1e-3, weight_decay=5e-4, batch=64, epochs=2000,
            schedule="step", step_factor=0.95, step_epochs=20, bn_momentum=PYTORCH, warmup=0, clip_norm=0),
        source=PORTRAIT_NET,
        notes=(DECAY, "pictures there keep their proportions, with a border; here they are stretched",
               "PaddleSeg's reproduction starts from ImageNet weights: --pretrained imagenet")),
    "portraitnet-video": Preset(
        config=TrainConfig(
            arch="portrait_net", up="deconv", classes=2, channels=4, size=256, prior_empty=0.5, loss="bce=1", boundary_weight=0.0,
            lr=1e-3, weight_decay=5e-4, batch=48, epochs=500,
            schedule="step", step_factor=0.95, step_epochs=20, bn_momentum=PYTORCH, warmup=0, clip_norm=0),
        source=f"{PORTRAIT_NET} (video=True); size, batch and epochs of {ANILSATHYA}'s second model",
        notes=(DECAY, "the net keeps its boundary branch, with weight 0", "the rate ends at 2.9e-4; 1e-6 is reported there")),
    "slim": Preset(
        config=TrainConfig(
            arch="slim_net", act="prelu", resize="align_corners", classes=2, loss="bce=1", lr=1e-3, batch=64, epochs=300,
            schedule="plateau", plateau_factor=0.5, plateau_patience=10, min_lr=1e-6, bn_momentum=KERAS, warmup=0, clip_norm=0),
        source=f"{ANILSATHYA}, slim512.ipynb; after MediaPipe's hair segmentation, arXiv:1907.06740",
        notes=("the text there says 300 epochs, the notebook 100",)),
    "u2net": Preset(
        config=TrainConfig(
            arch="u2net", size=288, loss="bce=1", side_weights="1", lr=1e-3, batch=12,
            schedule="constant", bn_momentum=PYTORCH, warmup=0, clip_norm=0),
        source="github.com/xuebinqin/U-2-Net, as github.com/aryanxxvii/clearbg has it; arXiv:2005.09007",
        notes=("pictures there are resized to 320 and cropped to 288, and divided by their own maximum", "--epochs is not part of it")),
    "u2net-cyclical": Preset(
        config=TrainConfig(
            arch="u2net", size=288, loss="bce=1,boundary_rmse=1", side_weights="1", lr=1e-3, batch=12,
            schedule="onecycle", cycle_base=0.1, annihilation=0.1, cycle_momentum="0.85,0.95", bn_momentum=PYTORCH, warmup=0, clip_norm=0),
        source="slides about U2-Net with a cyclical learning rate, its annihilation (arXiv:1803.09820), and RMSE about the boundary",
        notes=("no number is given there: rates, cycle, momentum, widths and weights are ours", "--epochs is not part of it")),
    "resunet": Preset(
        config=TrainConfig(
            arch="resunet", pretrained="imagenet", loss="bce=1", side_weights="1", lr=1e-3,
            schedule="plateau", plateau_factor=0.1, plateau_patience=5, min_lr=1e-7, patience=20, bn_momentum=KERAS, warmup=0, clip_norm=0),
        source="github.com/Mehdialmoo/RMBG-U2NET",
        notes=("masks there are not divided by 255, which makes their cross-entropy unbounded", "pictures are prepared for ResNet here",
               "learning rate (Adam's usual), batch and --epochs are not part of it")),
    "background-unet": Preset(
        config=TrainConfig(
            arch="mobilenet_v2_unet", pretrained="imagenet", loss="bce=1,iou=0.5,l1=0.5", optimizer="adamw", lr=1e-3, weight_decay=1e-5,
            batch=16, epochs=50, freeze_epochs=10, schedule="plateau", plateau_factor=0.2, plateau_patience=15,
            precision="mixed_float16", seed=42, bn_momentum=PYTORCH, warmup=0, clip_norm=0),
        source="github.com/lursz/BackgroundSegmentationUNet",
        notes=("epochs are ours", "float16 is for GPUs: give --precision float32 without one", DECAY,
               "its plain U-Net, which has nothing to freeze: --arch unet --pretrained None --freeze-epochs 0")),
}  # fmt: skip


def find(name: str) -> Preset:
    """The preset of that name.

    Raises:
        InputError: there is none.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def difference(one: TrainConfig, other: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """The settings in which two differ, with the value of each."""
    pairs = {item.name: (getattr(one, item.name), getattr(other, item.name)) for item in fields(TrainConfig)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def defaults(config: type[Config], argv: Sequence[str]) -> Config:
    """A command's settings before its flags: those of the preset that `--preset` names, else the usual ones.

    Args:
        config: the command's settings, with TrainConfig's among them.
        argv: its words; flags other than --preset are passed over.

    Raises:
        InputError: there is no such preset.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset", default="", nargs="?")
    name = parser.parse_known_args(argv)[0].preset
    if not name:
        return config()
    changed = {key: value for key, (_, value) in difference(TrainConfig(), find(name).config).items()}
    return config(**{**changed, "preset": name})

import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.metrics import BASIC, METRICS, STILL, Meter, select


def test_names_all_and_lists():
    assert select("iou, weighted_f") == ("iou", "weighted_f")
    assert select(["mae"]) == ("mae",)
    assert select("all") == tuple(STILL)
    assert len(STILL) == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("iou,dice", "unknown metric 'dice'; allowed are all, iou, miou, mae, boundary_f, max_f, weighted_f, s_measure"),
        ("", "unknown metric ''"),
        ("iou,iou", "once each, got iou, iou"),
        ("all,iou", "once each"),
        ("iou,flicker", "flicker.*--video"),
    ],
)
def test_names_that_cannot_be_used(text, message):
    with pytest.raises(InputError, match=message):
        select(text)


def test_no_metric_at_all():
    with pytest.raises(InputError, match="got none"):
        Meter([])


def test_a_meter_gives_what_was_asked_for_in_that_order():
    mask = np.zeros((24, 24), np.uint8)
    mask[4:20, 4:20] = 255
    everything = Meter("all").add("a", mask.astype(np.float32) / 255, mask)
    assert list(everything) == ["name", *STILL]
    perfect = {key: (100 if METRICS[key].higher else 0) for key in STILL}
    assert {key: everything[key] for key in STILL} == pytest.approx(perfect, abs=1e-6)
    some = Meter("weighted_f,iou")
    some.add("a", mask.astype(np.float32) / 255, mask)
    assert list(some.summary()) == ["weighted_f", "iou"]
    assert Meter().metrics == BASIC


def test_values_are_printed_with_their_unit():
    assert METRICS["iou"].text(97.123) == "97.12 %"
    assert METRICS["mae"].text(0.01234) == "0.0123"
    assert METRICS["sad"].text(1.5) == "1.500 thousand"

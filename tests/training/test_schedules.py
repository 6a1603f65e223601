"""Schedules against hand-worked values."""

import itertools

import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.training import schedules
from portraitseg.training.config import TrainConfig
from portraitseg.training.phases import Phase, parse
from portraitseg.training.schedules import Plateau
from portraitseg.training.settings import OptimiserSettings


def rates(total: int, *, epoch: int = 1, peak: float = 1.0, scale: float = 1.0, **changes) -> list[float]:
    settings = OptimiserSettings(**changes)
    settings.check()
    return [schedules.learning_rate(settings, peak, step, total, epoch=epoch, scale=scale) for step in range(total)]


def test_cosine_quarter_points():
    assert [schedules.cosine(step, 8) for step in (0, 2, 4, 8, 9)] == pytest.approx([1.0, 0.853553, 0.5, 0.0, 0.0], abs=1e-6)


def test_warmup_rises_linearly():
    assert [schedules.warmup(step, 3) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert schedules.warmup(0, 0) == 1.0


def test_cosine_warms_up_then_falls():
    """100 steps, of which a tenth at most warm up."""
    values = rates(100, schedule="cosine", warmup=50, peak=2.0)
    assert values[0] == pytest.approx(2 / 11)
    assert max(values) == values[10] == 2.0
    assert values[55] == pytest.approx(1.0)
    assert all(a > b for a, b in itertools.pairwise(values[10:]))


@pytest.mark.parametrize("schedule", ["constant", "step", "plateau"])
def test_what_does_not_depend_on_the_total(schedule):
    short, long = (rates(total, schedule=schedule, warmup=4, step_epochs=1, step_factor=0.5)[:8] for total in (10, 99))
    assert short == long


def test_step_decay_by_hand():
    """Two steps an epoch, halved every two epochs, not below 0.2; the warm-up takes two steps."""
    values = rates(16, epoch=2, schedule="step", step_epochs=2, step_factor=0.5, min_lr=0.2, warmup=2)
    assert values == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2])


@pytest.mark.parametrize(("scale", "min_lr", "wanted"), [(0.25, 0.0, 0.5), (0.25, 0.6, 0.6), (1.0, 0.6, 2.0), (1.0, 9.0, 2.0)])
def test_plateau_goes_no_lower_than_its_floor_and_no_higher_than_the_peak(scale, min_lr, wanted):
    assert rates(1, schedule="plateau", warmup=0, peak=2.0, scale=scale, min_lr=min_lr) == [wanted]


def test_one_cycle_by_hand():
    """Of 10 steps 8 are the cycle, from a fifth; the last two bring a fifth to a thousandth of it."""
    values = rates(10, schedule="onecycle", cycle_base=0.2, annihilation=0.2, peak=10.0)
    assert values == pytest.approx([2, 4, 6, 8, 10, 8, 6, 4, 2 * (1 - 0.999 / 2), 0.002])


def test_triangular_fills_the_phase_with_whole_cycles():
    """9 steps without annihilation and cycles of about 4: two, of 4.5 steps. By epochs: 2 of 2 steps are the same 4."""
    by_steps = rates(9, schedule="triangular", cycle_steps=4, annihilation=0, cycle_base=0.0001)
    height = 1 - np.abs(2 * ((np.arange(9) * 2 / 9) % 1) - 1)
    assert by_steps == pytest.approx(1e-4 + (1 - 1e-4) * height)
    assert rates(9, epoch=2, schedule="triangular", cycle_epochs=2, annihilation=0, cycle_base=0.0001) == by_steps


def test_triangular2_halves_each_cycle():
    values = rates(12, schedule="triangular2", cycle_steps=4, annihilation=0, cycle_base=0.2)
    assert values == pytest.approx([0.2, 0.6, 1.0, 0.6, 0.2, 0.4, 0.6, 0.4, 0.2, 0.3, 0.4, 0.3])


def test_exp_range_lowers_the_height_in_every_step():
    values = rates(8, schedule="exp_range", cycle_steps=4, annihilation=0, cycle_base=0.2, cycle_gamma=0.5)
    assert values == pytest.approx([0.2, 0.2 + 0.4 / 2, 0.2 + 0.8 / 4, 0.2 + 0.4 / 8, 0.2, 0.2 + 0.4 / 32, 0.2 + 0.8 / 64, 0.2 + 0.4 / 128])


@pytest.mark.parametrize("schedule", ["onecycle", "triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize("total", [1, 2, 7, 100, 1001])
def test_cycles_stay_in_bounds_and_end_far_below_the_base(schedule, total):
    values = rates(total, schedule=schedule, cycle_steps=30, annihilation=0.1)
    assert all(0 < value <= 1 for value in values)
    assert total < 7 or values[-1] == pytest.approx(1e-4)
    assert max(values) > 0.9 or total < 30


@pytest.mark.parametrize("gamma", [1.0, 0.98])
def test_cycles_are_pytorchs(gamma):
    """torch.optim.lr_scheduler.CyclicLR(base_lr=0.1, max_lr=1, step_size_up=5, mode="exp_range", gamma=gamma), its formula restated."""
    steps = np.arange(40)
    cycle = np.floor(1 + steps / 10)
    scale = np.maximum(0, 1 - np.abs(steps / 5 - 2 * cycle + 1)) * gamma**steps
    settings = {"schedule": "exp_range", "cycle_steps": 10, "annihilation": 0, "cycle_gamma": gamma, "cycle_momentum": "0.8,0.9"}
    values = rates(40, **settings)
    assert values == pytest.approx(0.1 + 0.9 * scale)
    momenta = [schedules.momentum(OptimiserSettings(**settings), value) for value in values]
    assert momenta == pytest.approx(0.9 - 0.1 * scale)


def test_momentum_is_highest_in_the_annihilation_and_constant_if_not_cycled():
    cycled = OptimiserSettings(schedule="onecycle", cycle_momentum="0.85,0.95", cycle_base=0.1)
    assert [schedules.momentum(cycled, factor) for factor in (1.0, 0.55, 0.1, 0.001)] == pytest.approx([0.85, 0.9, 0.95, 0.95])
    assert schedules.momentum(OptimiserSettings(momentum=0.7), 0.3) == 0.7


def test_plateau_counts_by_hand():
    plateau = Plateau()
    improved = [plateau.update(value, patience=2, factor=0.5) for value in (1.0, 3.0, 2.0, 3.0, 4.0, 1.0, 1.0, 1.0)]
    assert improved == [True, True, False, False, True, False, False, False]
    assert plateau.scale == 0.25  # lowered after the second of 2.0, 3.0 and of 1.0, 1.0; the last 1.0 waits
    assert (plateau.best, plateau.stale, plateau.waited) == (4.0, 3, 1)
    plateau.restart()
    assert plateau == Plateau(best=4.0, stale=3, waited=0, scale=1.0)


def test_phases_from_words():
    words = "stem:2, decoder:10:1e-3:enc_+dec4_,all:20::,last:1:1e-5"
    assert parse(words, lr=0.5) == [
        Phase(name="stem", epochs=2, lr=0.5),
        Phase(name="decoder", epochs=10, lr=1e-3, frozen="enc_+dec4_"),
        Phase(name="all", epochs=20, lr=0.5),
        Phase(name="last", epochs=1, lr=1e-5),
    ]
    assert parse(words, lr=0.5)[1].prefixes == ("enc_", "dec4_")
    assert Phase(name="all", epochs=1, lr=1).prefixes == ()
    settings = TrainConfig(phases=words)
    assert (settings.total_epochs, settings.plan()) == (33, parse(words, lr=settings.lr))


def test_freeze_epochs_is_the_short_form():
    assert TrainConfig(epochs=30, freeze_epochs=10, lr=1e-3).plan() == parse("decoder:10:1e-3:enc_,all:20:1e-3", lr=1)
    assert TrainConfig(epochs=3, freeze_epochs=3).plan() == parse("decoder:3::enc_", lr=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phases": "all"}, "'all' is not of the form NAME:EPOCHS"),
        ({"phases": "a:1:1:enc_:x"}, "is not of the form"),
        ({"phases": "a:1,"}, "'' is not of the form"),
        ({"phases": "a:one"}, "'a:one': invalid literal for int"),
        ({"phases": "a:1:fast"}, "'a:1:fast': could not convert"),
        ({"phases": "a:0"}, "epochs must be at least 1"),
        ({"phases": "a:1:-1"}, "learning rate above 0"),
        ({"phases": "a:1:nan"}, "learning rate above 0"),
        ({"phases": "a:1", "epochs": 2}, "leave these two out"),
        ({"phases": "a:1", "freeze_epochs": 2}, "leave these two out"),
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"batch": 0}, "--batch must be at least 1, got 0"),
        ({"accumulate": 0}, "--accumulate must be at least 1"),
        ({"lr": 0.0}, "--lr must be above 0"),
        ({"lr": float("nan")}, "--lr must be above 0"),
        ({"ema": 1.0}, "--ema must be at least 0 and below 1"),
        ({"clip_norm": -1.0}, "--clip-norm must be at least 0"),
        ({"weight_decay": -1.0}, "--weight-decay must be at least 0"),
        ({"annihilation": 1.0}, "--annihilation must be"),
        ({"cycle_base": 0.0}, "--cycle-base must be above 0 and at most 1"),
        ({"cycle_epochs": 0.0}, "--cycle-epochs must be above 0"),
        ({"schedule": "cycle"}, "one of cosine, plateau"),
        ({"schedule": "onecycle", "cycle_momentum": "0.9"}, "the lower first, such as 0.85,0.95; got 0.9"),
        ({"schedule": "onecycle", "cycle_momentum": "0.95,0.85"}, "the lower first"),
        ({"schedule": "onecycle", "cycle_momentum": "0.9,1"}, "below 1"),
        ({"schedule": "cosine", "cycle_momentum": "0.8,0.9"}, "use one of onecycle, triangular"),
    ],
)
def test_settings_that_no_run_can_have(changes, message):
    with pytest.raises(InputError) as caught:
        TrainConfig(**changes).plan()
    assert message in str(caught.value)

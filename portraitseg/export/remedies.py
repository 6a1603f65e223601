"""What is tried where int8 loses too much: bias correction, and with it cross-layer equalisation."""

from collections.abc import Callable
from dataclasses import replace

from portraitseg.export.parity import Parity, complaints
from portraitseg.quantization.post_training.quantize import Recipe

TOO_MUCH = 0.5
"""Points of IoU; a net that loses more gets the remedies, and one that would be refused."""

AUTO, ON = "auto", "on"


def first(method: str, *, equalise: str = AUTO, bias_correction: str = AUTO, keep_float: tuple[str, ...] = ()) -> Recipe:
    """The recipe to start with: "on" from the first, "auto" and "off" not."""
    return Recipe(method=method, equalise=equalise == ON, bias_correction=bias_correction == ON, keep_float=keep_float)


def later(start: Recipe, *, equalise: str = AUTO, bias_correction: str = AUTO) -> list[Recipe]:
    """What else may be tried: every remedy on "auto", the cheap one alone first."""
    corrected = replace(start, bias_correction=start.bias_correction or bias_correction == AUTO)
    both = replace(corrected, equalise=start.equalise or equalise == AUTO)
    return [recipe for recipe in dict.fromkeys((corrected, both)) if recipe != start]


def best(start: Recipe, others: list[Recipe], attempt: Callable[[Recipe], Parity]) -> tuple[Recipe, Parity]:
    """The best recipe: `start` unless it loses more than TOO_MUCH or would be refused; of equals the earlier.

    Args:
        start: tried first.
        others: tried where that is not good enough.
        attempt: makes the file by a recipe and compares it with the checkpoint. The last call is for the recipe that is returned.
    """
    results = {start: attempt(start)}
    if not others or (results[start].iou_drop <= TOO_MUCH and not complaints(results[start], "int8")):
        return start, results[start]
    for recipe in others:
        print(f"int8 loses more than {TOO_MUCH:g} points of IoU, or is out of tolerance: trying {recipe.line()}")
        results[recipe] = attempt(recipe)
    chosen = min(results, key=lambda recipe: (bool(complaints(results[recipe], "int8")), results[recipe].iou_drop))
    print(f"kept: {chosen.line()}, a drop of {results[chosen].iou_drop:.2f} points")
    return chosen, results[chosen] if chosen == others[-1] else attempt(chosen)

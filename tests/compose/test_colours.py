"""Colours as people write them."""

import pytest

from portraitseg.compose.colours import find_colour
from portraitseg.errors import InputError


@pytest.mark.parametrize(
    ("text", "colour"),
    [("white", (255, 255, 255)), ("Navy", (0, 0, 128)), ("#ff8000", (255, 128, 0)), ("#0A0b0C", (10, 11, 12)), ("1, 20,255", (1, 20, 255))],
)
def test_colours(text: str, colour: tuple[int, int, int]) -> None:
    assert find_colour(text) == colour


@pytest.mark.parametrize("text", ["beach.jpg", "gren", "./red", "photos/#1.png"])
def test_other_words_are_no_colours(text: str) -> None:
    assert find_colour(text) is None


@pytest.mark.parametrize("text", ["#12", "#gg0000", "1,2", "1,2,256", "-1,0,0", "1.5,0,0"])
def test_misspelt_colours_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InputError, match=r"'#rrggbb', 'r,g,b' with 0 to 255 each, or a name: white"):
        find_colour(text)

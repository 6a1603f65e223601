"""Colours as people write them."""

import re

from portraitseg.errors import InputError

Colour = tuple[int, int, int]

# The 16 colours of CSS 1 and a few more of CSS 3's names that backgrounds are asked for by.
COLOURS: dict[str, Colour] = {
    "white": (255, 255, 255),
    "silver": (192, 192, 192),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "maroon": (128, 0, 0),
    "orange": (255, 165, 0),
    "gold": (255, 215, 0),
    "yellow": (255, 255, 0),
    "olive": (128, 128, 0),
    "lime": (0, 255, 0),
    "green": (0, 128, 0),
    "teal": (0, 128, 128),
    "cyan": (0, 255, 255),
    "aqua": (0, 255, 255),
    "skyblue": (135, 206, 235),
    "blue": (0, 0, 255),
    "navy": (0, 0, 128),
    "purple": (128, 0, 128),
    "magenta": (255, 0, 255),
    "fuchsia": (255, 0, 255),
    "pink": (255, 192, 203),
    "beige": (245, 245, 220),
    "brown": (165, 42, 42),
}


def find_colour(text: str) -> Colour | None:
    """Read a name, '#rrggbb' or 'r,g,b' (0 to 255 each) as RGB; None if `text` looks like none of them.

    Raises:
        InputError: `text` starts with '#' or consists of numbers and commas, but is no colour.
    """
    word = text.strip().lower()
    if word in COLOURS:
        return COLOURS[word]
    if re.fullmatch(r"#[0-9a-f]{6}", word):
        return int(word[1:3], 16), int(word[3:5], 16), int(word[5:7], 16)
    if re.fullmatch(r"\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}", word):
        red, green, blue = (int(part) for part in word.split(","))
        if max(red, green, blue) <= 255:
            return red, green, blue
    if re.fullmatch(r"#.*|[-+\d\s.,]+", word):
        raise InputError(f"{text!r} is no colour; give {allowed()}")
    return None


def allowed() -> str:
    """The ways to write a colour, for messages."""
    return f"'#rrggbb', 'r,g,b' with 0 to 255 each, or a name: {', '.join(COLOURS)}"

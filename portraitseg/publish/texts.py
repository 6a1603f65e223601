"""What holds for every model of a kind, where its card says nothing of its own."""

from portraitseg.card import Card


def use(card: Card) -> str:
    """What the model is for."""
    height, width = card.size
    frames = "the frames of a video, each with the prob of the one before as fourth channel"
    where = frames if card.channels == 4 else "photographs and video"
    return (
        f"Parting people from what is behind them in {where}: portraits, selfies and calls, where people fill much of the picture. "
        f"It sees {height}x{width} pixels (height x width) and gives one prob a pixel for all people together."
    )


def limits(card: Card) -> str:
    """What the model cannot do."""
    still = " A cut leaves the last scene in the fourth channel: empty it there." if card.channels == 4 else ""
    return (
        f"What is finer than a pixel of {card.size[0]}x{card.size[1]}, single hairs for one, is lost, and small people far away are "
        "missed; people are not told from one another, nor from pictures of people. The worst pictures and the figures by subset are in "
        f"`measured`. Whether it is as right for people of every skin colour, age and dress was not measured.{still} "
        "Not for telling who somebody is, nor for where a mistake can hurt."
    )

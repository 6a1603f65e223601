import threading

import pytest

from portraitseg.live.channel import Channel


def test_a_waiting_channel_loses_nothing_and_keeps_the_order():
    channel: Channel[int] = Channel(2, newest_wins=False)

    def give() -> None:
        for number in range(200):
            channel.put(number)
        channel.end()

    giver = threading.Thread(target=give)
    giver.start()
    assert list(channel) == list(range(200))
    giver.join(5)
    assert not giver.is_alive() and channel.ended


def test_the_newest_item_wins():
    channel: Channel[int] = Channel(1, newest_wins=True)
    for number in range(5):
        assert channel.put(number)
    assert channel.take() == 4
    assert channel.take(0) is None and not channel.ended


def test_a_giver_that_waits_comes_back_when_nobody_takes_any_more():
    channel: Channel[int] = Channel(1, newest_wins=False)
    channel.put(0)
    told = []
    giver = threading.Thread(target=lambda: told.append(channel.put(1)))
    giver.start()
    giver.join(0.05)
    assert giver.is_alive()
    channel.drop()
    giver.join(5)
    assert told == [False] and channel.ended


def test_what_waits_is_taken_before_the_error_of_the_giver_is_raised_once():
    channel: Channel[str] = Channel(2, newest_wins=False)
    channel.put("last")
    channel.end(ValueError("the camera is gone"))
    assert not channel.ended
    assert channel.take() == "last"
    with pytest.raises(ValueError, match="the camera is gone"):
        channel.take()
    assert channel.take() is None and channel.ended


def test_nothing_can_be_put_after_the_end():
    channel: Channel[int] = Channel(2, newest_wins=True)
    channel.end()
    assert not channel.put(1)
    assert list(channel) == []

"""The one error that users are meant to read, and the one that is none."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message says what came, what is allowed and the remedy. The command line prints it without a traceback and exits with 2;
    any other exception is a fault of ours and keeps its traceback.
    """


class RunStoppedError(Exception):
    """A training run was stopped by Ctrl-C or SIGTERM, and its state is saved."""


def one_line(error: BaseException) -> str:
    """A library's message, without line breaks, and no longer than a person reads."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]} ..."

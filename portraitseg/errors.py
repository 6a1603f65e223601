"""The one error that users are meant to read."""


class InputError(ValueError):
    """What the user gave cannot be used.

    The message says what came, what is allowed and the remedy. The command line prints it without a traceback and exits with 2;
    any other exception is a fault of ours and keeps its traceback.
    """

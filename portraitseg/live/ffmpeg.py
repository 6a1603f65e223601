"""The program ffmpeg, which sends streams."""

import shutil

from portraitseg.errors import InputError


def find() -> str:
    """The ffmpeg of the system, else the one that the package imageio-ffmpeg brings.

    Raises:
        InputError: there is none; with what installs it.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise InputError(
            "there is no ffmpeg on this machine, which sends streams; install it with: sudo apt install ffmpeg, "
            'or: pip install -c constraints.txt -e ".[live]"'
        ) from error

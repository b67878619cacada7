"""`film`: several frames as one animated picture, a GIF."""

from .pictures import Picture


def film(frames, text="<film>", milliseconds=120, alt="", generated=True):
    """Return `frames`, Pillow images of one size, as an animated `Picture`, a GIF.

    Each is shown for `milliseconds`, the last one for two seconds. `alt` says what it shows,
    `generated` whether a GAN made it.
    """
    first, *others = frames
    return Picture(
        first,
        text,
        "gif",
        generated=generated,
        alt=alt,
        save_all=True,
        append_images=others,
        duration=[milliseconds] * len(others) + [2000],
        loop=0,
    )

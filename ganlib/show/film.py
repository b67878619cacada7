"""Films: frames as one animated picture."""

from .pictures import Picture


def film(frames, text="<film>", milliseconds=120, scale=1):
    """Return Pillow images of one size as an animated `Picture`, a GIF that holds its last one for two seconds."""
    first, *others = frames
    return Picture(first, text, "gif", first.width * scale, generated=True, save_all=True, append_images=others,
                   duration=[milliseconds] * len(others) + [2000], loop=0)  # fmt: skip

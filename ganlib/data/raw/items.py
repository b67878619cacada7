"""Find which part of a data set's items is the image, and which the label."""

import os
from pathlib import Path

from ..source import named

IMAGE = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "pixel_values")
LABEL = ("label", "labels", "class", "cls", "target", "category")


def columns(data, item, odd):
    """Return (image key or None, label key or None, class names), from the first readable item."""
    features = getattr(data, "features", None) or {}
    classes = tuple(map(str, getattr(data, "classes", None) or ()))
    if isinstance(item, dict) and not set(item) <= {"bytes", "path"}:
        kinds = {name: type(kind).__name__ for name, kind in features.items()}
        images = [name for name, kind in kinds.items() if kind == "Image"]
        images += [name for name in IMAGE if name in item and name not in images]
        labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
        labels += [name for name in LABEL if name in item and name not in labels]
        if not images:
            raise ValueError(
                f"the data set has the columns {', '.join(map(str, item))}; one of images is "
                "expected"
            )
        for what, several in (("images", images), ("labels", labels)):
            if len(several) > 1:
                odd.append(
                    f"{len(several)} columns may be the {what}, {named(several)}: "
                    f"{several[0]} is taken"
                )
        label = labels[0] if labels else None
        return images[0], label, tuple(getattr(features.get(label), "names", None) or ())
    if isinstance(item, (tuple, list)) and not hasattr(item, "shape"):
        images = [i for i, value in enumerate(item) if _is_image(value)]
        image = images[0] if images else 0
        others = [i for i in range(len(item)) if i not in images]
        later = [i for i in others if i > image]
        if len(images) > 1:
            odd.append(f"each item holds {len(images)} images: the first of them is taken")
        return image, (later or others or [None])[0], classes
    return None, None, ()


def _is_image(value):
    """Whether a value of a tuple is an image: a picture, an array of two or more axes, a path."""
    return (
        hasattr(value, "getexif")
        or getattr(value, "ndim", 0) > 1
        or isinstance(value, (bytes, Path))
        or (isinstance(value, str) and os.path.isfile(value))
        or (isinstance(value, dict) and {"bytes", "path"} <= set(value))
    )

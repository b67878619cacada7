"""Plans: for how many images a run's schedules are stretched, from a length or from a time, which is measured once."""

import json

from ..machine import files, processes
from .speed import planned_rate
from .until import length


def planned_images(text, make, data, file, batch_size=None, first=True):
    """Return (images that the schedules are planned for, whether the plan is a time), of `text`: see `until.length`.

    A time is measured once in a run's life, by the recipe that `make(images)` returns, and kept in `file`, so that a
    run that goes on elsewhere is still the same run. `first`: whether this process writes, of several. Raises
    ValueError for a text that is neither images nor a time, and where the run was planned for another one.
    """
    number, unit = length(text, len(data), bare="image") or (None, None)
    if unit == "image":
        return round(number), False
    if unit != "second":
        raise ValueError(f'--plan {text} was given; images (40_000, "40k images", "3 epochs"), or a time '
                         '("60s", "5 min"), are expected')  # fmt: skip
    kept = processes.agree(json.loads(file.read_text()) if first and file.exists() else None)
    if kept is None:
        speed = planned_rate(make, data, number, batch_size)
        kept = {"plan": text, "images": round(speed * number), "images_per_second": round(speed, 1)}
        if first:
            files.replace(file, lambda out: out.write(json.dumps(kept).encode()))
    if kept["plan"] != text:
        raise ValueError(f"the run in {file.parent} was planned for {kept['plan']}, --plan {text} was given; use the "
                         "same, or another --out")  # fmt: skip
    print(f"{text} at {kept['images_per_second']:,.0f} images/s: planned for {kept['images']:,} images")
    return kept["images"], True

"""Plan a run: `recipe` returns a recipe whose schedules end at a length, or at a time that is
measured on this machine; `chosen` picks the recipe that the user did not name. A run that goes on
keeps the plan that it began with.
"""

import json
import math
from dataclasses import replace
from functools import partial

import torch

from ..data.augment import LITTLE
from ..data.images import Images
from ..keep import claim
from ..keep.checkpoint import BROKEN, FILE, FORMER, skim, stand_in
from ..machine import processes
from ..machine.choices import as_whole
from ..machine.device import choice
from ..machine.folder import path_of
from ..machine.progress import say
from . import recipes
from .speed import planned_rate
from .until import alike, length

LEAST = 10  # images that a plan has at least
NOISE = 400  # images of noise on which a speed is measured without data
EXPECTED = (
    'a length is expected that a plan can have: a number of steps (10_000), "40k images", '
    '"3 epochs", or a time ("60s", "5 min")'
)


def recipe(name, shape=(1, 28, 28), classes=0, images=None, *, until=None, data=None, folder=None):
    """Return the `Recipe` of this name for images of `shape` (C, H, W), conditional on `classes`
    classes if there are any.

    The names are classic, dcgan, lsgan, wgan, wgan-gp, sngan, r3gan, small, pictures, style,
    infogan and acgan; `recipe(name).source` says where it is from. Schedules that end with the run
    are stretched to:

    images: so many images, 10 or more; by default the recipe's own number.
    until: a length as `train` takes it: steps, "40k images", "3 epochs" of `data`, or a time, "5
        min". A time is measured on this machine: fresh nets are trained for some seconds, on `data`
        or, without, on noise. One line says the speed and the number of images; there `train(...,
        until="5 min")` then ends, with its schedules, though the clock may say a little more or
        less than five minutes. Steps are steps of the recipe's own batch size.
    folder: the run's folder. A run that is there goes on with the plan, and the batch size, that it
        began with; a line says so where that is another. For a fresh start leave it out.

    A recipe without schedules (`images` is None) has nothing to stretch: `until` changes nothing.
    Raises ValueError for an unknown name, a shape that its nets cannot draw, classes for a recipe
    that takes none, acgan without classes, an `until` that is no length, and for both `images` and
    `until`.
    """
    if until is None:
        if data is not None or folder is not None:
            raise ValueError(
                'data=... and folder=... belong to a plan: give until="5 min", or leave them out'
            )
        return recipes.recipe(name, shape, classes, images)
    if images is not None:
        raise ValueError(f"images={images!r} and until={until!r} were given; give one of them")
    make = partial(recipes.recipe, name, shape, classes)
    if data is None:
        return planned(make, until, noise(shape, classes), folder, epoch=math.nan)
    return planned(make, until, data, folder)


def planned(make, until, data, folder=None, batch_size=None, epoch=None):
    """Return the recipe `make(images)`, planned for the length `until`; if there is a run in
    `folder`, for the length that it began with.

    make: a function of the number of images, None for the recipe's own, that returns the recipe.
    batch_size: images per step and process, by default the recipe's.
    epoch: images of an epoch, by default those of `data`; nan where nobody knows.

    With several processes all must call this. Raises ValueError for an `until` that is no length,
    or a plan that cannot be read.
    """
    default, epoch = make(None), len(data) if epoch is None else epoch
    first = processes.place()[0] == 0
    plan = processes.agree(kept(folder) if first and folder is not None else None)
    if default.images is None:
        return replace(default, batch_size=(plan or {}).get("batch_size") or default.batch_size)
    if plan is None:
        plan = _plan(default, make, until, data, batch_size, epoch)
    elif plan["until"] is None or not alike(until, plan["until"], epoch):
        its = plan["until"] or "the recipe's own"
        say(
            f"{folder}: keeps the plan with which it began, {its}, "
            f"{plan['images'] or default.images:,} images; {until} is only where it ends"
        )
    made = make(plan["images"])
    return replace(made, until=plan["until"], batch_size=plan.get("batch_size") or made.batch_size)


def chosen(data, folder, recipe=None, augment=None):
    """Return (a recipe's name, an augmentation's name or None) for a run on `data` in `folder`.

    Arguments that are None (`augment` may be "none") are those that the run in `folder` began with;
    for a new run the recipe is `pictures` for images in colour or of the user's own, `style` where
    these are 5,000 or more, else `classic`; and with `pictures` and fewer than 5,000 images
    `shift`. With several processes all must call this.
    """
    began = processes.agree(kept(folder) if processes.place()[0] == 0 else None)
    own = "fit" in (data.loaded or {}) or data.shape[0] == 3
    usual = "classic" if not own else "pictures" if len(data) < LITTLE else "style"
    now = ((began["recipe"] or "classic") if began else usual) if recipe is None else recipe
    if augment is None and began:
        augment = began["augment"]
    elif augment is None and now == "pictures" and len(data) < LITTLE:
        augment = "shift"
        say(
            f"{len(data):,} images are few: D sees each one shifted at random (augment "
            f"{augment}; --augment none leaves it out)"
        )
    return now, None if augment == "none" else augment


def kept(folder):
    """Return the plan that the run in `folder` began with: a dict of `until`, `images`,
    `batch_size` (of each process), `recipe` and `augment`, each None if unknown. None if there is
    no run.

    It is in the checkpoint; older runs have it in plan.json. Raises ValueError if it is damaged.
    """
    folder = path_of(folder)
    claim.rest(folder)
    files = (place / name for place in (folder, stand_in(folder)) for name in (FILE, FORMER))
    for file in filter(lambda file: file.exists(), files):
        try:
            content = skim(file)
            about = content["state"]["trained_on"] or {}
            plan, size = about.get("plan"), about.get("batch_size")
        except (OSError, AttributeError, TypeError, *BROKEN):
            continue  # `resume` says what is damaged
        plan = _checked(plan or _older(folder / "plan.json"), file)
        world = processes.place()[1]
        if plan["batch_size"] is not None and isinstance(size, int) and size % world == 0:
            plan["batch_size"] = size // world  # it may have begun with another number of processes
        return plan
    return None


def _older(file):
    """Return the plan in an older run's plan.json; None if there is none."""
    try:
        plan = json.loads(file.read_text()) if file.exists() else None
        return plan and {"until": plan["plan"], "images": plan["images"]}
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{file} is no plan; remove it, and the recipe's own plan is taken"
        ) from None


def _checked(plan, file):
    """Return a plan with all its entries; raise ValueError for one that no run can have."""
    texts = "until", "recipe", "augment"
    whole = dict.fromkeys((*texts, "images", "batch_size"))
    whole |= plan if isinstance(plan, dict) else {}
    numbers = [x for x in (whole["images"], whole["batch_size"]) if x is not None]
    if (
        not isinstance(plan or {}, dict)
        or any((as_whole(x) or 0) < 1 for x in numbers)
        or not all(isinstance(whole[name], str | None) for name in texts)
    ):
        raise ValueError(f"{plan!r:.300} in {file} is no plan; start anew in another folder")
    return whole


def _plan(default, make, until, data, batch_size, epoch):
    """Return a new plan, measured if `until` is a time; a line says what it is."""
    number, unit = length(until, epoch) or (None, None)
    if number is None:
        raise ValueError(f"until={until!r} was given; {EXPECTED}")
    if math.isnan(number):
        raise ValueError(f"until={until!r} counts the images of a data set: give data=...")
    size, speed = batch_size, ""
    if unit == "step":
        size = batch_size or default.batch_size
        number *= size * processes.place()[1] * default.n_critic
    elif unit == "second":
        rate = planned_rate(make, data, number, batch_size)
        number, speed = rate * number, f" at {rate:,.0f} images/s"
    images = max(LEAST, round(number))
    say(f"{default.name}: {until}{speed}: its schedules are planned for {images:,} images")
    return {"until": str(until), "images": images, "batch_size": size}


def noise(shape, classes=0):
    """Return images of noise, uint8 (400, C, H, W), with labels if there are classes, to measure a
    speed without data.
    """
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (NOISE, *shape), dtype=torch.uint8, generator=draws)
    labels = torch.arange(NOISE) % classes if classes else None
    names = tuple(map(str, range(classes)))
    return Images(images.to(choice.device or "cpu"), labels, names, "noise")

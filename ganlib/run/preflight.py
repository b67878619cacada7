"""`preflight`: report on a data set before a run: what D will see, what was done to the files, how
long a run takes, and advice.
"""

import io
import statistics
from dataclasses import dataclass, field, replace

import torch
from torch.nn.functional import adaptive_avg_pool2d

from ..data.augment import LITTLE
from ..data.raw.kinds import data_set
from ..machine.device import choice
from ..machine.progress import readable, say
from ..machine.randomness import some_of
from ..show.pictures import Picture, show
from .recipes import recipe
from .speed import rate

COMPARED = 20_000  # the most images that are searched for near-duplicates
WHOLE = 2**32  # bytes of a set: of a larger one COMPARED images are searched for blank ones
SHOWN = 64  # images on the contact sheet
FLAT, DARK = 2, 32  # levels of 255: an image that varies by less is blank; a set below is dark
SHEET = "a contact sheet of training images (ganlib)"  # so that `load` does not read it as data


@dataclass
class Preflight:
    """The report of `preflight`: `print` it. As the value of a notebook cell it shows the contact
    sheet, 64 images as D sees them.

    `facts`: the numbers of the report. `advice`: sentences, the most important first. `batch_size`:
    the one to train with.
    """

    sheet: Picture
    lines: list
    advice: list
    facts: dict = field(default_factory=dict)
    batch_size: int = 50

    def __str__(self):
        return "\n".join(map(readable, [*self.lines, *(f"  -> {text}" for text in self.advice)]))

    def _repr_mimebundle_(self, include=None, exclude=None):
        # lossy as in the live view, which takes a third of the bytes
        return self.sheet.lossy()._repr_mimebundle_(include, exclude)

    def __repr__(self):
        return str(self)


def preflight(data, name=None, conditional=None, seconds=3.0, augment=None):
    """Look at `data` before a run: print a report and return it as a `Preflight`, with a contact
    sheet.

    The report has counts and sizes, what was converted, what was skipped and why, near-duplicates,
    the batch size, the minutes that the recipe `name` would take on this machine, and advice. By
    default it is `pictures` or `style` for images in colour, `small` for grey ones. Its speed is
    measured for `seconds` for each kind of steps, on the device that `setup` chose, with `augment`
    if it is given; 0 leaves that out. `conditional`: whether the run uses the labels, by default if
    there are any. Raises ValueError for data other than images, and for labels other than classes.
    """
    data_set(data)
    usual = "small" if data.shape[0] == 1 else "pictures" if len(data) < LITTLE else "style"
    name = name or usual
    if len(data.shape) != 3:
        raise ValueError(
            f"{data.name!r} holds {data.shape} each; preflight looks at images (C, H, W)"
        )
    report, n = data.report, len(data)
    places = some_of(n, SHOWN).sort().values
    sheet = _sheet(data.images[places.to(data.images.device)], max(1, 64 // data.shape[2]))
    colour = "grey" if data.shape[0] == 1 else "in colour"
    facts = {"images": n}
    lines = [f"{data.name}: {n:,} images of {data.shape[2]} x {data.shape[1]}, {colour}"]
    if report:
        lines += _files(report)
        facts |= {"found": report["found"], "skipped": report["found"] - report["used"]}
    if data.labels is not None:
        if data.labels.ndim > 1:
            raise ValueError(
                f"{data.name!r} has labels of {tuple(data.labels.shape)}; preflight counts "
                "classes, int64 (N,): leave the labels out to look at the images"
            )
        counts = torch.bincount(data.labels.cpu(), minlength=len(data.classes)).tolist()
        names = data.classes or tuple(map(str, range(len(counts))))
        lines.append(
            f"{len(counts)} classes: "
            + _some([f"{a} {b:,}" for a, b in zip(names, counts, strict=True)], 12)
        )
        facts["classes"] = counts
    if "labels" in report:
        lines.append(f"labels: {report['labels']}")
    pairs = near_duplicates(data)
    twins = len({second for _, second in pairs})
    files = report.get("names", [])
    facts["near_duplicates"] = pairs
    if pairs:
        shown = [f"{files[a]} = {files[b]}" if files else f"{a} = {b}" for a, b in pairs[:3]]
        lines.append(
            f"near-duplicates: {twins:,} images look like an earlier one "
            f"({_some(shown, 3, len(pairs))})"
        )
    labelled = (
        data.labels is not None and len(data.classes) > 1 if conditional is None else conditional
    )
    chosen, batch = None, None
    try:
        chosen = recipe(name, data.shape, len(data.classes) if labelled else 0)
        chosen = replace(chosen, augment=augment)
        batch = max(2, min(chosen.batch_size, n // 4)) if n >= 4 else n
        plan = chosen.images or 1_000_000
        if seconds and n >= 2:
            speed = rate(chosen, data, seconds, batch, choice.device)
            facts |= {"images_per_second": speed, "minutes": plan / speed / 60}
            lines.append(
                f"recipe {name}, batch {batch}: {speed:,.0f} images/s on this machine; its plan of "
                f"{plan:,} images takes about {_lasting(plan / speed)}"
            )
        facts["batch_size"] = batch
    except (ValueError, RuntimeError) as error:  # a size that it cannot draw, or too little memory
        lines.append(f"recipe {name} cannot be used: {error}")
    advice = [*report.get("odd", []), *_pixels(data)]
    advice += _advice(data, report, twins, facts.get("classes"), labelled, augment is not None)
    result = Preflight(sheet, lines, advice, facts, batch or max(1, min(50, n // 4)))
    say(result)
    return result


def _lasting(seconds):
    """Return a time as a text of two digits or more: "45 s", "2.4 min", "38 min"."""
    minutes = seconds / 60
    return f"{seconds:.0f} s" if seconds < 99 else f"{minutes:,.{0 if minutes >= 10 else 1}f} min"


def _some(texts, most, total=None):
    """Return the first `most` texts in one line, and how many of `total` are left."""
    left = (total or len(texts)) - most
    return ", ".join(texts[:most]) + (f" and {left:,} more" if left > 0 else "")


def _files(report):
    """Yield the lines about the files that the images were read from."""
    w, h = report["widths"], report["heights"]
    skipped = report["found"] - report["used"]
    yield (
        f"files: {report['found']:,} found, {report['used']:,} used, {skipped:,} skipped; sizes "
        f"{min(w):,} x {min(h):,} to {max(w):,} x {max(h):,}, median {statistics.median(w):,.0f} x "
        f"{statistics.median(h):,.0f}; {FIT[report['fit']].format(report.get('background'))}"
    )
    if report.get("values"):
        yield "values: " + "; ".join(report["values"])
    if 0 < report["grey"] < report["used"]:
        yield f"colour: {report['grey']:,} of {report['used']:,} are grey"
    if report["converted"]:
        yield "converted: " + "; ".join(
            f"{what}: {count:,}" for what, count in report["converted"].items()
        )
    if report["skipped"]:
        yield "skipped: " + _some([f"{a} ({b})" for a, b in report["skipped"]], 8, skipped)


FIT = {"crop": "the middle is cut out", "pad": "padded with {}", "stretch": "stretched"}


def _sheet(images, scale):
    """Return images as a grid, a `Picture` whose file says what it is."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Software", SHEET)
    sheet, alt = (
        Image.open(io.BytesIO(show(images, scale=scale).data)),
        f"{len(images)} of the images",
    )
    return Picture(sheet, "<images>", pnginfo=note, alt=alt)


def _pixels(data):
    """Yield sentences on images that are blank, and on a set that is dark all over."""
    step = 1 if data.images.nbytes <= WHOLE else -(-len(data) // COMPARED)
    n, blank, brightest = -(-len(data) // step), 0, 0
    for start in range(0, len(data), 1000 * step):
        part = data.images[start : start + 1000 * step : step]
        low, high = part.flatten(2).amin(2), part.flatten(2).amax(2)  # of each channel, (N, C)
        blank += int((high.int() - low < FLAT).all(1).sum())
        brightest = max(brightest, int(high.max()))
    if blank == n:
        yield f"all {n:,} images are blank, of a single colour each: there is nothing to draw"
    elif blank > 0.01 * n:
        yield f"{blank:,} of {n:,} images are blank: a single colour all over"
    if brightest < DARK:
        yield (
            f"the set is dark: the brightest value is {brightest} of 255; if its pixels have "
            "another range, scale them to 0 .. 255"
        )


def _advice(data, report, twins, counts, labelled, augmented):
    """Yield sentences, the most important first."""
    many = twins > 0.1 * len(data)  # a few hardly count
    n = len(data) - twins * many
    few = f"{n:,} image{'s' * (n != 1)}" + f" that differ, of {len(data):,}," * many
    if n == 1:
        alike = f"all {len(data):,} images look alike" if many else "there is a single image"
        yield f"{alike}: nothing varies that a GAN could learn; collect more than a hundred"
    elif n < 10:
        yield f"{few} are too few: it could only copy them; collect more than a hundred"
    elif n < 200:
        use = "Augmentation" if augmented else "augment=augment.shift (compare with a run without)"
        yield (
            f"{few} are very few: it will memorise them. {use} may delay that; look at each fake's "
            "nearest training image; more images help more than any setting"
        )
    elif n < 2_000 and not augmented:
        yield (
            f"{few} are few: D may learn them by heart; try augment=augment.shift or ada, and "
            "compare with a run without"
        )
    elif n < 10_000 and not augmented:
        yield f"{few}: try augment=augment.ada; D may learn them by heart in a long run"
    n = len(data)
    if report:
        enlarged = report["converted"].get("enlarged", 0)
        if enlarged > 0.2 * n:
            yield (
                f"{enlarged:,} of {n:,} images are smaller than {data.shape[2]} pixels: a "
                "smaller size=... is honest"
            )
        if (skipped := report["found"] - report["used"]) > 0.05 * report["found"]:
            yield f"{skipped} of {report['found']:,} files were skipped: look at the reasons above"
        if report["fit"] == "crop":
            sides = [
                *zip(report["widths"], report["heights"], strict=True)
            ]  # of a large set a part
            lengthy = sum(max(ab) > 1.5 * min(ab) for ab in sides) * n // len(sides)
            if lengthy > 0.2 * n:
                yield (
                    f"{lengthy:,} images are more than 1.5 times as long as wide, and lose their "
                    'ends: fit="pad" keeps them'
                )
        if 0 < report["grey"] < 0.2 * n or 0 < n - report["grey"] < 0.2 * n:
            yield "grey and coloured images are mixed: channels=1 makes all of them grey"
        if report["mixed"]:
            yield (
                "some images lie in folders and some beside them: no labels were made; one "
                "folder per class would"
            )
    if 0.01 * n < twins < n - 1:
        yield (
            f"{twins / n:.0%} of the images look like an earlier one: without them it memorises "
            "less"
        )
    if labelled and counts:
        least = min(counts)
        if least < 20:
            yield (
                f"the smallest class has {least} image{'s' * (least != 1)}: too few for a class of "
                "its own; merge classes, or train without labels"
            )
        elif least < 0.1 * max(counts):
            yield (
                f"the smallest class has {least:,} images, the largest {max(counts):,}: it is "
                "learned last"
            )


@torch.no_grad()
def near_duplicates(data, alike=0.99):
    """Return pairs (i, j), i < j, of images of `data` that look alike: the first such i for each j.

    Two images look alike if their 16 x 16 grey thumbnails, without their means, correlate by
    `alike` or more, as those of copies that were scaled, compressed or made brighter do. Of more
    than 20,000 images 20,000 are compared, at even distances.
    """
    n = len(data)
    index = torch.arange(n) if n <= COMPARED else torch.linspace(0, n - 1, COMPARED).long()
    cells = [
        adaptive_avg_pool2d(
            data.images[part.to(data.images.device)].float().mean(1, keepdim=True), 16
        )
        for part in index.split(1000)
    ]
    cells = torch.cat(cells).flatten(1).cpu()
    means, pairs = cells.mean(1), []
    cells, flat = cells - means[:, None], cells.std(1) < 1  # flat: only its noise correlates
    cells = torch.where(flat[:, None], torch.ones(()), cells)
    cells = cells / cells.norm(dim=1, keepdim=True)
    for start in range(0, len(index), 1000):
        rows, earlier = slice(start, start + 1000), slice(0, start + 1000)
        close = (cells[rows] @ cells[earlier].T >= alike).tril(start - 1)
        plain = flat[rows, None] & flat[None, earlier]
        apart = (means[rows, None] - means[None, earlier]).abs() > 3
        close &= torch.where(plain, ~apart, ~flat[rows, None] & ~flat[None, earlier])
        for row in close.any(1).nonzero().flatten().tolist():
            pairs.append((int(index[close[row].nonzero()[0]]), int(index[start + row])))
    return pairs

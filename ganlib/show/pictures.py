"""Pictures: grids of images, the curves of a run, and the timeline that a run leaves in its folder."""

import base64
import io
from pathlib import Path

import torch

from ..data.images import as_uint8
from ..machine.files import replace

GENERATED = "generated: a synthetic image, drawn by a GAN (ganlib)"


class Picture:
    """An encoded picture: Jupyter shows it as a cell's value, `save(path)` writes it."""

    def __init__(self, picture, text="<picture>", kind="png", width=None, generated=False, **settings):
        """Encode a Pillow image as PNG or GIF, to be shown `width` wide; `settings` are those of Pillow's `save`.

        `generated` says in the file's metadata that nobody has photographed or drawn it.
        """
        file = io.BytesIO()
        if generated and kind != "png":
            settings["comment"] = GENERATED
        elif generated:
            from PIL.PngImagePlugin import PngInfo

            settings["pnginfo"] = note = settings.get("pnginfo") or PngInfo()
            note.add_text("Comment", GENERATED)
        picture.save(file, kind, **settings)
        self.data, self.mime, self.text, self.width = file.getvalue(), f"image/{kind}", text, width or picture.width
        self.generated = generated

    def _repr_mimebundle_(self, include=None, exclude=None):
        encoded = base64.b64encode(self.data).decode()
        if self.mime in ("image/png", "image/jpeg"):
            return {self.mime: encoded, "text/plain": self.text}, {self.mime: {"width": self.width}}
        html = f'<img src="data:{self.mime};base64,{encoded}" width="{self.width}">'  # nbconvert shows no image/gif
        return {"text/html": html, "text/plain": self.text}, {}

    def __repr__(self):
        return self.text

    def lossy(self):
        """The same as a JPEG, a third as large, where it has colours; itself where it has none."""
        from PIL import Image

        with Image.open(io.BytesIO(self.data)) as picture:
            if picture.mode != "RGB":
                return self
            return Picture(picture, self.text, "jpeg", self.width, self.generated, quality=88)

    def save(self, path):
        """Write the picture to `path`, in one move; the name has to end in .png, for a film in .gif."""
        kind = self.mime.removeprefix("image/")
        if Path(path).suffix != f".{kind}":
            raise ValueError(f"{str(path)!r} was given for a {kind.upper()}; a name that ends in .{kind} is expected")
        replace(Path(path), lambda file: file.write(self.data), durable=False)


def show(images, columns=8, scale=2, generated=None):
    """Return a grid of images as a `Picture`: uint8 or float in [-1, 1], `(N, C, H, W)` with 1 or 3 channels.

    The grid has `columns` columns; each pixel is drawn `scale` times as wide and high. `generated`: whether the file
    says that its images are; by default it does for what `gan.sample` returned.
    """
    generated = getattr(images, "generated", False) if generated is None else generated
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images of shape {tuple(images.shape)} were given; (N, 1, H, W) or (N, 3, H, W) is expected")
    return Picture(pillow(mosaic(images, columns, gap=1), scale), "<images>", generated=generated)


def mosaic(images, columns, gap=0):
    """Lay `(N, C, H, W)` images out in rows, `gap` white pixels apart: uint8 `(C, rows * (H + gap) - gap, ...)`."""
    images = as_uint8(images.detach()).cpu()
    n, c, h, w = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = images.new_full((rows * columns, c, h + gap, w + gap), 255)
    grid[:n, :, :h, :w] = images
    grid = grid.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4)  # (C, rows, H + gap, columns, W + gap)
    return grid.flatten(3).flatten(1, 2)[:, : rows * (h + gap) - gap, : columns * (w + gap) - gap]


def pillow(grid, scale=1):
    """A uint8 image (C, H, W) as a Pillow image, enlarged."""
    from PIL import Image

    picture = Image.fromarray((grid[0] if len(grid) == 1 else grid.permute(1, 2, 0)).contiguous().numpy())
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


PANELS = (  # title, upper end, lines: a history's column, label, colour
    ("losses", None, (("d_loss", "D", "tab:blue"), ("g_loss", "G", "tab:orange"))),
    ("D's mean probability of 'real'", 1, (("p_real", "reals", "tab:green"), ("p_fake", "fakes", "tab:red"))),
    (
        "diversity of the fakes",
        None,
        (("diversity", "64 fakes", "tab:purple"), ("real_diversity", "reals", "tab:green")),
    ),
)
JUDGED = (  # a second row, where there were evaluations
    ("Frechet distance", None, (("frechet_distance", "G", "tab:blue"), ("floor", "real images", "tab:green"))),
    ("score of the classes", None, (("inception_score", "G", "tab:blue"),
                                    ("real_inception_score", "real images", "tab:green"))),
    ("shares", 1, (("precision", "precision", "tab:orange"), ("recall", "recall", "tab:red"),
                   ("coverage", "coverage", "tab:purple"))),
)  # fmt: skip


def curves(history):
    """Return the curves of a run (`gan.history`, or `history.json` read back) as a `Picture`.

    Left both losses, in the middle what D believes of reals and fakes, as mean probabilities, right the diversity of
    the fakes: the standard deviation of one pixel over 64 of them, mean over the pixels. Where the run was evaluated, a
    second row: Frechet distance and score, each beside that of real images, and precision, recall and coverage.
    """
    if not history:
        raise ValueError("the history is empty; train first: it is recorded every 50 steps")
    from matplotlib.figure import Figure  # not pyplot, which would show the figure a second time
    from PIL import Image

    panels = PANELS + JUDGED * any("frechet_distance" in row for row in history)
    figure = Figure(figsize=(11, len(panels)), layout="constrained")
    for axes, (title, top, lines) in zip(figure.subplots(len(panels) // 3, 3).flat, panels, strict=True):
        for name, label, colour in lines:
            points = [(row["step"], row[name]) for row in history if name in row]
            style = "--" if name.startswith("real_") or name == "floor" else "-"
            if points:
                axes.plot(*zip(*points, strict=True), style, label=label, color=colour, linewidth=1)
        axes.set(title=title, xlabel="step", yscale="log" if title == "Frechet distance" else "linear")
        axes.set_ylim(top and 0, top)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(frameon=False, fontsize=9)
    file = io.BytesIO()
    figure.savefig(file, dpi=80)
    with Image.open(file) as picture:
        return Picture(picture.convert("RGB").quantize(256), "<curves>")  # half the size


def timeline(folder, columns=10, rows=5, animated=False, scale=1):
    """Return what G drew from the same noise over the run in `folder`, as a `Picture`.

    Time runs from left to right over `columns` moments (more of them early, when more happens), each row is one noise
    vector, each pixel is shown `scale` times as large. `animated=True` makes it a GIF of `columns` frames in eight
    shades instead, each a grid of `rows` rows.
    Raises ValueError where the folder holds no pictures of a run.
    """
    files = {int(path.stem): path for path in (Path(folder) / "pictures").glob("*.png")}
    if not files:
        raise ValueError(f"{folder} holds no pictures of a run; train with view=LiveView(folder={str(folder)!r})")
    steps = sorted(files)
    if len(steps) > columns:
        wanted = [steps[-1] * (i / max(1, columns - 1)) ** 1.5 for i in range(columns)]
        steps = sorted({min(files, key=lambda step, at=at: abs(step - at)) for at in wanted})
    moments, columns = zip(*(read_moment(files[step]) for step in steps), strict=True)
    if animated:
        frames = [pillow(mosaic(images[: rows * n], n)).quantize(8)
                  for images, n in zip(moments, columns, strict=True)]  # fmt: skip
        return film(frames, "<timeline>", 150, scale)
    from PIL import Image, ImageDraw

    images = torch.stack([images[:rows] for images in moments], dim=1).flatten(0, 1)
    strip = pillow(mosaic(images, len(steps), gap=1), scale)
    picture = Image.new(strip.mode, (strip.width, strip.height + 14), "white")
    picture.paste(strip, (0, 14))
    for column, step in enumerate(steps):  # the step stands over its column
        text = f"{step / 1000:g}k" if step >= 1000 else str(step)
        place = (column + 0.5) * strip.width / len(steps), 7
        ImageDraw.Draw(picture).text(place, text, fill="black", anchor="mm")
    return Picture(picture, "<timeline>", generated=True)


def film(frames, text="<film>", milliseconds=120, scale=1):
    """Return Pillow images of one size as an animated `Picture`, a GIF that holds its last one for two seconds."""
    first, *others = frames
    return Picture(first, text, "gif", first.width * scale, generated=True, save_all=True, append_images=others,
                   duration=[milliseconds] * len(others) + [2000], loop=0)  # fmt: skip


def write_moment(folder, step, images, columns=8):
    """Keep images `(N, C, H, W)` of one step for `timeline`, as one PNG that remembers the size of its cells."""
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("cell", "x".join(map(str, images.shape[2:])))
    Picture(pillow(mosaic(images, columns)), pnginfo=note, generated=True).save(
        Path(folder) / "pictures" / f"{step:07}.png"
    )


def read_moment(path):
    """The images (N, C, H, W) of a picture that `write_moment` wrote, and in how many columns they stood."""
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    with Image.open(path) as picture:
        height, width = map(int, picture.text["cell"].split("x"))
        grid = pil_to_tensor(picture)  # (C, rows * H, columns * W)
    cells = grid.unfold(1, height, height).unfold(2, width, width)  # (C, rows, columns, H, W)
    return cells.permute(1, 2, 0, 3, 4).flatten(0, 1), cells.shape[2]

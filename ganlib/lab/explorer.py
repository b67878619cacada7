"""The explorer: a trained generator under sliders."""

from itertools import pairwise
from pathlib import Path

import torch

from ..data.images import as_float
from ..judge import features
from ..machine.randomness import generator
from ..show.film import film
from ..show.pictures import Picture, mosaic, pillow
from . import latent
from .panel import Panel

NONE = 4.0  # a truncation that leaves all but one number in 16,000 where it is


class Explorer:
    """A trained generator, a `GAN` or one that `load_generator` returned, to be walked through.

    directions: how many of the strongest directions of its noise get a slider (`latent.directions`).
    data: the training images; the one nearest to what is drawn stands beside it then, by the distance of the pixels or,
        with `extractor` (a name or a module, see `features`), of its features.
    codes: how many of InfoGAN's continuous codes follow its class code; read off D where there is one.
    samples: how many noise vectors there are to choose from, the same at each call.

    As a cell's value it is `panel()`. `draw`, `grid` and `walk` return pictures without any control.
    """

    def __init__(self, source, data=None, directions=5, extractor=None, codes=None, samples=1000):
        self.source, self.data = source, data
        net = latent.net_of(source)
        self.classes, self.weight = getattr(net, "classes", 0), next(net.parameters())
        named = isinstance(extractor, str)
        self.extractor = features.extractor(extractor, self.weight.device) if named else extractor
        self.categorical = getattr(getattr(net, "latent", None), "categorical", 0)
        answers = getattr(getattr(source, "D", None), "settings", {}).get("answers", 0)
        self.codes = (max(0, answers - self.categorical) if self.categorical else 0) if codes is None else codes
        fixed, wide = self.categorical + self.codes, latent.width(source)
        directions = min(directions, wide - fixed)
        self.rows = latent.directions(source, directions, skip=fixed).rows if directions else ()
        draws = generator("cpu", 0, 0, "explorer")
        self.samples = torch.randn(samples, wide, generator=draws).to(self.weight)
        self.seen = None if data is None else self._read(data)

    def noise(self, sample=0, other=1, mix=0.0, spherical=True, truncation=NONE, code=None, **moves):
        """Return the noise `(1, latent_dim)` for these values.

        It starts at number `sample`, goes the share `mix` of the way to number `other`, is truncated, then moved along
        the directions (`direction_1`, ... in units of noise), and given codes (`code`, `code_1`, ...). Raises
        ValueError for a value that is out of range.
        """
        for name, value, top in (("sample", sample, len(self.samples) - 1), ("other", other, len(self.samples) - 1),
                                 ("mix", mix, 1), ("code", code or 0, max(0, self.categorical - 1))):  # fmt: skip
            if not 0 <= value <= top:
                raise ValueError(f"{name}={value} was given; 0 to {top} is expected")
        a, b = self.samples[sample], self.samples[other]
        z = latent.interpolate(a, b, 121, spherical)[round(120 * mix)]
        z = (latent.truncated(z, truncation) if truncation < NONE else z)[None].clone()
        for name, value in moves.items():
            kind, _, number = name.partition("_")
            top = {"direction": len(self.rows), "code": self.codes}
            if not number.isdigit() or not 1 <= int(number) <= top.get(kind, 0):
                raise ValueError(f"{name}={value} was given; direction_1 to direction_{top['direction']}"
                                 + f" and code_1 to code_{self.codes}" * bool(self.codes) + " are there")  # fmt: skip
            if kind == "direction":
                z = z + value * self.rows[int(number) - 1]
            else:
                z[:, self.categorical + int(number) - 1] = value
        if code is not None and self.categorical:
            z[:, : self.categorical] = torch.nn.functional.one_hot(torch.tensor(code), self.categorical).to(z)
        return z

    @torch.no_grad()
    def draw(self, label=None, **values):
        """Return what G draws for the values of `noise` (and of `label`), beside the nearest training image."""
        image = latent.draw(self.source, self.noise(**values), label)
        if self.seen is None:
            return Picture(_titled(image, ["G draws"]), "<explorer>", generated=True)
        place, away = self.nearest(image)
        real = as_float(self.data.images[place : place + 1]).to(image)
        titles = ["G draws", f"nearest of {len(self.data):,}: no. {place}, {away:.2f} away"]
        return Picture(_titled(torch.cat([image, real]), titles), "<explorer>", generated=True)

    @torch.no_grad()
    def grid(self, across="direction 1", down="direction 2", x=0.0, y=0.0, reach=2.0, side=7, label=None, **values):
        """Return `side` x `side` images: `across` to the right, `down` downwards, `reach` each way from `x, y`."""
        names = [name.replace(" ", "_") for name in (across, down)]
        if names[0] == names[1]:
            raise ValueError(f"{across} was given for both ways; two different directions are expected")
        away = torch.linspace(-reach, reach, side).tolist()
        moves = [{names[0]: x + right, names[1]: y + below} for below in away for right in away]
        noise = torch.cat([self.noise(**(values | move)) for move in moves])
        labels = None if self.classes == 0 else (0 if label is None else label)
        images = latent.draw(self.source, noise, labels)
        return Picture(pillow(mosaic(images, side, gap=1), 2), "<grid>", generated=True)

    @torch.no_grad()
    def frames(self, stops=(0, 1, 2, 0), between=12, label=None, scale=6, **values):
        """Return the frames of a walk from sample to sample, Pillow images: for `walk` and `latent.mp4`.

        `values` are those of `noise`, and stay the same all the way (codes, truncation, directions, spherical).
        """
        legs = [(a, b, i / between) for a, b in pairwise(stops) for i in range(between)] + [(stops[-1], stops[-1], 0.0)]
        labels = (0 if label is None else label) if self.classes else None
        moments = (self.noise(**values | {"sample": a, "other": b, "mix": mix}) for a, b, mix in legs)
        return [pillow(mosaic(latent.draw(self.source, z, labels), 1), scale) for z in moments]

    def walk(self, stops=(0, 1, 2, 0), between=12, label=None, scale=6, **values):
        """Return a walk from sample to sample as an animated `Picture`; `.save("walk.gif")` writes it."""
        return film([one.quantize(64) for one in self.frames(stops, between, label, scale, **values)], "<walk>")

    def nearest(self, image):
        """Return place and distance of the training image nearest to `image (1, C, H, W)`."""
        wanted = self._see(image)
        away = torch.cat([(part - wanted).square().sum(1) for part in self.seen.split(10_000)])
        return int(away.argmin()), away.min().sqrt().item()

    def panel(self, folder="."):
        """Return all of it under sliders: a `Panel`. Its buttons write the walk between the two samples to `folder`."""
        last = len(self.samples) - 1
        controls = {"sample": (0, 0, last), "other": (1, 0, last), "mix": (0.0, 0.0, 1.0), "spherical": True,
                    "truncation": (NONE, 0.2, NONE)}  # fmt: skip
        controls |= {"label": (0, 0, self.classes - 1)} if self.classes else {}
        controls |= {"code": (0, 0, self.categorical - 1)} if self.categorical else {}
        controls |= {f"code_{i + 1}": (0.0, -2.0, 2.0) for i in range(self.codes)}
        controls |= {f"direction_{i + 1}": (0.0, -4.0, 4.0) for i in range(len(self.rows))}

        def way():
            values = panel.values
            return values | {"stops": (values.pop("sample"), values.pop("other"))} | {"mix": 0.0}

        def gif():
            picture = self.walk(**way())
            picture.save(Path(folder) / "walk.gif")
            return picture, f"written: {Path(folder) / 'walk.gif'}"

        def video():
            return f"written: {latent.mp4(self.frames(**way()), Path(folder) / 'walk.mp4')}"

        panel = Panel(self.draw, {"walk as GIF": gif, "walk as MP4": video}, **controls)  # which the buttons read
        return panel

    def grid_panel(self):
        """Return the grid under controls: which directions it shows, and two sliders that steer it."""
        names = [f"direction {i + 1}" for i in range(len(self.rows))]
        if len(names) < 2:
            raise ValueError(f"{len(names)} directions are there; a grid takes two: Explorer(..., directions=2)")
        controls = {"sample": (0, 0, len(self.samples) - 1), "across": names, "down": names[1:] + names[:1],
                    "x": (0.0, -4.0, 4.0), "y": (0.0, -4.0, 4.0), "reach": (2.0, 0.5, 4.0)}  # fmt: skip
        return Panel(self.grid, **controls | ({"label": (0, 0, self.classes - 1)} if self.classes else {}))

    def _ipython_display_(self):
        self.panel()._ipython_display_()

    def _read(self, data):
        with torch.no_grad():
            drawn = latent.draw(self.source, self.samples[:1])
        if data.images.shape[1:] != drawn.shape[1:]:
            raise ValueError(f"images of {tuple(data.images.shape[1:])} were given; {tuple(drawn.shape[1:])}, what G "
                             "draws, are expected")  # fmt: skip
        return torch.cat([self._see(as_float(part.to(self.weight.device))) for part in data.images.split(1000)])

    def _see(self, images):
        """What is compared, float32: the pixels, or their features."""
        images = images.float()
        return (images if self.extractor is None else features.extract(self.extractor, images)).flatten(1)


def _titled(images, titles, side=168):
    """Images (N, C, H, W) side by side, each about `side` pixels wide, with its title above."""
    from PIL import Image, ImageDraw

    scale = max(1, side // images.shape[-1])
    tiles = [pillow(mosaic(image[None], 1), scale).convert("RGB") for image in images]
    step = max(tiles[0].width, 230 if len(tiles) > 1 else 0) + 10
    picture = Image.new("RGB", (step * (len(tiles) - 1) + max(tiles[0].width, 230), tiles[0].height + 18), "white")
    for i, (tile, title) in enumerate(zip(tiles, titles, strict=True)):
        picture.paste(tile, (i * step, 18))
        ImageDraw.Draw(picture).text((i * step, 3), title, fill="black")
    return picture

"""`Explorer`: sliders, pictures, grids and walks to see what a trained generator can draw."""

from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

from ..data.images import as_float
from ..data.raw.kinds import data_set
from ..judge import features
from ..machine.randomness import generator
from ..show.film import film
from ..show.pictures import mosaic, pillow, show
from . import latent
from .panel import Panel

SIDE = 196  # pixels of the screen for the side of an image, at most


class Explorer:
    """Explore a trained generator. `source` is a `GAN`, or a generator that `load_generator`
    returned.

    data: the training images. If given, the one nearest to the drawn image is shown beside it. The
        distance is that of the pixels or, with `extractor`, of their features.
    directions: how many of the strongest directions of the noise get a slider, see
        `latent.directions`.
    extractor: the feature extractor, a name or a module, see `judge.features`.
    codes: how many continuous codes of InfoGAN follow its class code in the noise; by default read
        from D, if the source has one.
    samples: how many noise vectors there are to choose from, the same at each call.

    As the value of a notebook cell it shows `panel()`. `draw`, `grid` and `walk` return pictures
    without controls.
    """

    def __init__(self, source, data=None, directions=5, extractor=None, codes=None, samples=1000):
        self.source, self.data = source, data
        net = latent.net_of(source)
        self.classes, self.weight = getattr(net, "classes", 0), next(net.parameters())
        named = isinstance(extractor, str)
        self.extractor = features.extractor(extractor, self.weight.device) if named else extractor
        self.categorical = getattr(getattr(net, "latent", None), "categorical", 0)
        answers = getattr(getattr(source, "D", None), "settings", {}).get("answers", 0)
        self.codes = (
            (max(0, answers - self.categorical) if self.categorical else 0)
            if codes is None
            else codes
        )
        fixed, dims = self.categorical + self.codes, latent.width(source)
        directions = min(directions, dims - fixed)
        self.rows = latent.directions(source, directions, skip=fixed).rows if directions else ()
        draws = generator("cpu", 0, 0, "explorer")
        self.samples = torch.randn(samples, dims, generator=draws).to(self.weight)
        self.seen = None if data is None else self._read(data)

    def noise(
        self,
        sample=0,
        other=1,
        mix=0.0,
        spherical=True,
        truncation=latent.NONE,
        code=None,
        label=None,
        **moves,
    ):
        """Return the noise `(1, latent_dim)` for these settings of the sliders.

        It starts at the noise vector number `sample`, goes the share `mix` of the way to number
        `other` (on a great circle if `spherical`), is truncated at `truncation` for `label`, see
        `latent.truncated`, then moved along the directions (`direction_1`, ... in units of noise);
        last, the codes are set: `code`, the class, and `code_1`, ..., the continuous ones. Raises
        ValueError for a value out of range.
        """
        for name, value, top in (
            ("sample", sample, len(self.samples) - 1),
            ("other", other, len(self.samples) - 1),
            ("mix", mix, 1),
            ("code", code or 0, max(0, self.categorical - 1)),
        ):
            if not 0 <= value <= top:
                raise ValueError(f"{name}={value} was given; 0 to {top} is expected")
        a, b = self.samples[sample], self.samples[other]
        z = latent.interpolate(a, b, 121, spherical)[round(120 * mix)]
        z = z[None].clone()
        if truncation < latent.NONE:
            z = latent.truncated(z, truncation, self.source, label if self.classes else None)
        for name, value in moves.items():
            kind, _, number = name.partition("_")
            top = {"direction": len(self.rows), "code": self.codes}
            if not number.isdigit() or not 1 <= int(number) <= top.get(kind, 0):
                raise ValueError(
                    f"{name}={value} was given; direction_1 to direction_{top['direction']}"
                    + f" and code_1 to code_{self.codes}" * bool(self.codes)
                    + " are there"
                )
            if kind == "direction":
                z = z + value * self.rows[int(number) - 1]
            else:
                z[:, self.categorical + int(number) - 1] = value
        if code is not None and self.categorical:
            z[:, : self.categorical] = torch.nn.functional.one_hot(
                torch.tensor(code), self.categorical
            ).to(z)
        return z

    @torch.no_grad()
    def draw(self, label=None, **values):
        """Return a picture of what G draws for the values of `noise` and for `label`; with `data`,
        the nearest training image stands beside it.
        """
        image = latent.draw(self.source, self.noise(label=label, **values), label)
        heads, title, alt = ["G draws"], None, "an image that G draws"
        if self.seen is not None:
            place, distance = self.nearest(image)
            image = torch.cat([image, as_float(self.data.images[place : place + 1]).to(image)])
            title = f"nearest of {len(self.data):,}: no. {place}, {distance:.2f} away"
            heads, alt = [*heads, "nearest real"], f"{alt}, and the {title}"
        scale = max(1, SIDE // image.shape[-1])
        picture = show(image, heads, scale, generated=True, title=title)
        picture.text, picture.alt = "<explorer>", alt
        return picture

    @torch.no_grad()
    def grid(
        self,
        across="direction 1",
        down="direction 2",
        x=0.0,
        y=0.0,
        reach=2.0,
        side=7,
        label=None,
        **values,
    ):
        """Return a picture of `side` x `side` images. To the right the direction (or code) `across`
        changes, downwards `down`, each by up to `reach` either way from `x` and `y`. Raises
        ValueError if both are the same.
        """
        names = [name.replace(" ", "_") for name in (across, down)]
        if names[0] == names[1]:
            raise ValueError(
                f"{across} was given for both ways; two different directions are expected"
            )
        offsets = torch.linspace(-reach, reach, side).tolist()
        moves = [
            {names[0]: x + right, names[1]: y + below} for below in offsets for right in offsets
        ]
        labels = None if self.classes == 0 else (0 if label is None else label)
        noise = torch.cat([self.noise(label=labels, **(values | move)) for move in moves])
        images = latent.draw(self.source, noise, labels)
        heads, rows = ([f"{at + offset:+z.1f}" for offset in offsets] for at in (x, y))
        title = f"to the right: {across}; downwards: {down}"
        picture = show(images, heads, generated=True, rows=rows, title=title)
        picture.text = "<grid>"
        return picture

    @torch.no_grad()
    def frames(self, stops=(0, 1, 2, 0), between=12, label=None, scale=6, **values):
        """Return the frames of a walk from sample to sample, as Pillow images, for `walk` and
        `latent.mp4`.

        `stops` are the numbers of the samples, `between` is the number of frames from one to the
        next, and `scale` enlarges the pixels. `label` may be a list of labels: they stand side by
        side, each drawn from the same noise. `values` are those of `noise`, the same on the whole
        walk (codes, truncation, directions, spherical).
        """
        legs = [(a, b, i / between) for a, b in pairwise(stops) for i in range(between)] + [
            (stops[-1], stops[-1], 0.0)
        ]
        labels = torch.as_tensor(0 if label is None else label).reshape(-1)
        wide = len(labels)

        def drawn(a, b, mix):
            values.update(sample=a, other=b, mix=mix)
            noise = torch.cat([self.noise(label=label, **values) for label in labels.tolist()])
            return latent.draw(self.source, noise, labels if self.classes else None)

        images = (drawn(*leg) for leg in legs)
        return [pillow(mosaic(shown, wide), scale) for shown in images]

    def walk(self, stops=(0, 1, 2, 0), between=12, label=None, scale=6, width=None, **values):
        """Return a walk from sample to sample, see `frames`, as an animated `Picture`;
        `.save("walk.gif")` writes it. It is shown `width` pixels wide, by default as wide as it is.
        """
        picture = film(
            [frame.quantize(64) for frame in self.frames(stops, between, label, scale, **values)],
            "<walk>",
            alt=f"film: G draws on the way from sample to sample {stops}",
        )
        picture.width = width or picture.width
        return picture

    def nearest(self, image):
        """Return (place, distance) of the training image nearest to `image (1, C, H, W)`."""
        target = self._see(image)
        squares = torch.cat([(part - target).square().sum(1) for part in self.seen.split(10_000)])
        return int(squares.argmin()), squares.min().sqrt().item()

    def panel(self, folder=".", **start):
        """Return a `Panel` with a slider for each value; its buttons write the walk between the two
        samples to `folder`. `start` says where sliders stand at first (`label=8`).
        """
        last = len(self.samples) - 1
        controls = {
            "sample": (0, 0, last),
            "other": (1, 0, last),
            "mix": (0.0, 0.0, 1.0),
            "spherical": True,
            "truncation": (latent.NONE, 0.2, latent.NONE),
        }
        controls |= {"label": (0, 0, self.classes - 1)} if self.classes else {}
        controls |= {"code": (0, 0, self.categorical - 1)} if self.categorical else {}
        controls |= {f"code_{i + 1}": (0.0, -2.0, 2.0) for i in range(self.codes)}
        controls |= {f"direction_{i + 1}": (0.0, -4.0, 4.0) for i in range(len(self.rows))}

        def settings():
            values = panel.values
            return values | {"stops": (values.pop("sample"), values.pop("other"))} | {"mix": 0.0}

        def gif():
            picture = self.walk(**settings())
            picture.save(Path(folder) / "walk.gif")
            return picture, f"written: {Path(folder) / 'walk.gif'}"

        def video():
            return f"written: {latent.mp4(self.frames(**settings()), Path(folder) / 'walk.mp4')}"

        buttons = {"walk as GIF": gif, "walk as MP4": video}
        panel = Panel(self.draw, buttons, **_started(controls, start))
        return panel

    def grid_panel(self, side=7, **start):
        """Return a `Panel` that shows the grid of `side` x `side` images: menus for its two
        directions, sliders that move it. `start` says where sliders stand at first. Raises
        ValueError if there are fewer than two directions.
        """
        names = [f"direction {i + 1}" for i in range(len(self.rows))]
        if len(names) < 2:
            raise ValueError(
                f"{len(names)} directions are there; a grid takes two: Explorer(..., directions=2)"
            )
        controls = {
            "sample": (0, 0, len(self.samples) - 1),
            "across": names,
            "down": names[1:] + names[:1],
            "x": (0.0, -4.0, 4.0),
            "y": (0.0, -4.0, 4.0),
            "reach": (2.0, 0.5, 4.0),
        }
        controls |= {"label": (0, 0, self.classes - 1)} if self.classes else {}
        return Panel(partial(self.grid, side=side), **_started(controls, start))

    def _ipython_display_(self):
        self.panel()._ipython_display_()

    def _read(self, data):
        """Return the training images as `_see` does; raise ValueError for no data set, and if G
        draws another size.
        """
        data_set(data)
        with torch.no_grad():
            drawn = latent.draw(self.source, self.samples[:1])
        if data.images.shape[1:] != drawn.shape[1:]:
            raise ValueError(
                f"images of {tuple(data.images.shape[1:])} were given; {tuple(drawn.shape[1:])}, "
                "what G draws, are expected"
            )
        return torch.cat(
            [self._see(as_float(part.to(self.weight.device))) for part in data.images.split(1000)]
        )

    def _see(self, images):
        """Return what is compared, float32 `(N, ...)`: the pixels, or their features."""
        images = images.float()
        return (
            images if self.extractor is None else features.extract(self.extractor, images)
        ).flatten(1)


def _started(controls, start):
    """Return the controls of a `Panel` with the sliders that `start` names at its values."""
    sliders = [name for name, control in controls.items() if isinstance(control, tuple)]
    if wrong := sorted(set(start) - set(sliders)):
        raise ValueError(f"{', '.join(wrong)} was given; the sliders are {', '.join(sliders)}")
    return controls | {name: (value, *controls[name][1:]) for name, value in start.items()}

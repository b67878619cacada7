"""The game of clips: that of `small`, with one of four G's, and a D that sees all frames."""

import io
from dataclasses import dataclass

import torch

from ... import nets
from ...game import losses
from ...game.contract import evaluating
from ...game.look import Look
from ...game.look import generated as marked
from ...game.schedules import Linear
from ...machine.choices import one_of
from ...run.recipes import Net, Recipe
from ...show import film as films
from ...show.pictures import show

SHOWN = 6  # clips of a look
GREYS = 16  # of a film of grey clips


@dataclass(frozen=True, kw_only=True)
class Filmed(Recipe):
    """A `Recipe` for clips: a look has a clip in each row, frame by frame."""

    def check(self, gan, data):
        """Raise ValueError where the players cannot play this game on `data`."""
        if self.augment is not None:
            raise ValueError("clips cannot be augmented; take augment=None")
        super().check(gan, data)

    def look(self, gan):
        clips = gan.sample(SHOWN)
        return Look(marked(clips.transpose(1, 2).flatten(0, 1)), clips.shape[2])


def film(clips, columns=8, scale=2, title=None, milliseconds=120, generated=None, width=None):
    """Return clips `(N, C, T, H, W)` in [-1, 1], side by side, as an animated `Picture`, a GIF.

    Each frame is shown for so many `milliseconds`, the last one for two seconds;
    `.save("clips.gif")` writes it. `generated`: whether the file says that a GAN made them; by
    default it does for what `gan.sample` returned. It is shown `width` pixels wide, by default as
    wide as it is.
    """
    from PIL import Image

    made = getattr(clips, "generated", False) if generated is None else generated
    shown = [show(frame, columns, scale, made, title=title) for frame in clips.unbind(2)]
    frames = [Image.open(io.BytesIO(picture.data)) for picture in shown]
    frames = [
        frame.point(_grey).quantize(GREYS) if frame.mode == "L" else frame.quantize(64)
        for frame in frames
    ]
    picture = films.film(frames, "<clips>", milliseconds, f"film of {len(clips)} clips", made)
    picture.width = width or picture.width
    return picture


def _grey(value):
    """Return the nearest of GREYS greys, 0 to 255: fewer make a film small."""
    return round(value / 255 * (GREYS - 1)) * 255 // (GREYS - 1)


@torch.no_grad()
def at(gan, noise, times):
    """Return the clips of `noise (N, latent_dim)` at other `times (T',)` than 0, 1, ... T - 1,
    `(N, C, T', H, W)`: half steps are slow motion. Raises ValueError for a G without times.
    """
    net = gan.net()
    if not hasattr(net, "times"):
        raise ValueError(f"{type(net).__name__} draws its frames all at once, at no other times")
    with evaluating(net):
        return marked(net(noise, times=torch.as_tensor(times).to(noise)).clamp(-1, 1))


KINDS = {  # how G draws a clip
    "frames": nets.FramesGenerator,
    "moved": nets.MovedGenerator,
    "parts": nets.MovedGenerator,
    "path": nets.PathGenerator,
}


def recipe(data, kind="moved", images=None, gamma=2.0, latent_dim=48):
    """Return the recipe for clips `(N, C, T, H, W)`, such as `gliding()`.

    kind: how G draws: "frames", "moved", "parts" (two, each moved by itself) or "path"; see
    nets/fed/clips.py. images: the clips that the schedules are planned for, 120,000 by default.
    gamma: the weight of D's penalty: eight frames want more than one. Raises ValueError for an
    unknown kind, and for images that are no clips.
    """
    one_of("kind", kind, list(KINDS))
    if len(data.shape) != 4:
        raise ValueError(
            f"{data.name!r} has images of {tuple(data.shape)}; clips (C, T, H, W) are expected"
        )
    images = 120_000 if images is None else images
    parts = {"parts": 2} if kind == "parts" else {}
    return Filmed(
        name=f"clips-{kind}",
        source="Tulyakov et al. 2018 (MoCoGAN): content and motion; the game of `small`",
        G=Net(KINDS[kind], latent_dim=latent_dim, shape=data.shape, **parts),
        D=Net(nets.ClipDiscriminator, shape=data.shape),
        objective=losses.relativistic,
        penalty=losses.approximate_r1_r2(gamma, 0.05),
        batch_size=50,
        lr=Linear(((0, 1e-4), (images // 10, 1e-3), (images // 2, 1e-3), (images, 4e-5))),
        betas=(0.0, 0.99),
        ema=Linear(((0, 0), (150_000, 15_000))),
        images=images,
    )

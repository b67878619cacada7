"""The space W of a style-based generator: `StyleSpace` draws from styles in place of noise, mixes
the styles of two images, and finds directions in which one attribute changes.
"""

import torch
from torch import nn

from ..game.contract import evaluating, fitting
from ..machine.randomness import generator
from ..show.pictures import show
from . import latent

MANY = 4096  # styles that W's mean and covariance are estimated from


class StyleSpace(nn.Module):
    """W as the noise of a generator: it maps v `(N, d)` to images `(N, C, H, W)`.

    `source` is a `GAN` whose G is a `StyleGenerator`, or that generator. v are styles in normal
    numbers: w = center + v @ root, where center is the mean of W and root its covariance's (Zhu et
    al. 2020, "Improved StyleGAN embedding"). So all that takes a generator works in W: `Explorer`,
    `latent.directions`, `latent.interpolate`, `latent.invert`; and psi * v is the truncation trick
    (Karras et al. 2019, appendix B): 1 as G draws, 0 its mean face. label: the class that a
    conditional G draws, or its sentence int64 `(L,)`. Raises ValueError for a G without styles.
    """

    classes = 0

    @torch.no_grad()
    def __init__(self, source, label=None):
        super().__init__()
        net = latent.net_of(source)
        net = getattr(net, "_orig_mod", net)  # of torch.compile
        if not hasattr(net, "styles"):
            raise ValueError(
                f"{type(net).__name__} has no styles; a StyleGenerator is expected, as "
                'recipe("style") has one'
            )
        self.net, self.label, self.shape = net, label, net.shape
        w = self._styles(self.noise(MANY, "the space")).cpu().double()
        self.latent_dim = w.shape[1]  # of v: behind the noise there may be a sentence
        values, vectors = torch.linalg.eigh(torch.cov(w.T))
        scales = values.clamp(min=1e-12 * values[-1]).sqrt()
        weight = next(net.parameters())
        self.register_buffer("center", w.mean(0).to(weight))
        self.register_buffer("root", (vectors * scales @ vectors.T).to(weight))
        self.register_buffer("inverse", (vectors / scales @ vectors.T).to(weight))

    def noise(self, n, stream="styles"):
        """Return noise `(n, latent_dim)`, the same at each call with this `stream`, a text."""
        draws = generator("cpu", 0, 0, f"styles/{stream}")
        return torch.randn(n, self.net.latent_dim, generator=draws).to(next(self.net.parameters()))

    @torch.no_grad()
    def sample(self, n, stream="styles"):
        """Return v `(n, d)` of so much noise: what G itself would draw."""
        return (self._styles(self.noise(n, stream)) - self.center) @ self.inverse

    def _styles(self, z):
        label = self.label
        if torch.is_tensor(label) and label.ndim:  # one sentence, for all
            label = label.reshape(1, -1).expand(len(z), -1)
        labels = fitting(label, len(z), self.net, z.device)
        with evaluating(self.net):
            return self.net.styles(z, labels)

    def w(self, v):
        """Return w `(N, d)` of v."""
        return self.center + v.to(self.root) @ self.root

    def forward(self, v, labels=None):
        return self.mixed([v] * self.net.depth_of)

    def mixed(self, layers):
        """Return the images of v's `(N, d)`, one for each layer, the coarsest first."""
        with evaluating(self.net):  # each layer's noise is the one that stays
            return self.net.draw([self.w(v) for v in layers])

    @torch.no_grad()
    def mix(self, rows, columns, coarse, scale=4):
        """Return a picture: a grid of images whose first `coarse` layers have the style of the row
        (v `(R, d)`, drawn at the left) and whose others have that of the column (v `(C, d)`, drawn
        at the top), as in Karras et al. 2019, figure 3. Raises ValueError for layers that are not
        there.
        """
        depth = self.net.depth_of
        if not 0 <= coarse <= depth:
            raise ValueError(f"coarse={coarse} was given; 0 to {depth} layers are there")
        down = rows.repeat_interleave(len(columns), 0)
        right = columns.repeat(len(rows), 1)
        with evaluating(self):
            cells = self.mixed([down] * coarse + [right] * (depth - coarse))
            left, top = self(rows), self(columns)
        cells = cells.unflatten(0, (len(rows), len(columns)))
        lines = [torch.cat([torch.ones_like(top[:1]), top])]
        lines += [torch.cat([left[i : i + 1], cells[i]]) for i in range(len(rows))]
        title = f"layers 1 to {coarse} from the left, {coarse + 1} to {depth} from the top"
        if coarse in (0, depth):
            title = f"all layers from the {'left' if coarse else 'top'}"
        columns = 1 + len(columns)
        return show(torch.cat(lines), columns=columns, scale=scale, generated=True, title=title)

    @torch.no_grad()
    def moved_by_layer(self, read, n=300):
        """Return which layer decides what: a float `(layers, A)`.

        `read(images)` returns A attributes of each image, int64 `(N, A)`. Of `n` pairs of images
        whose attribute differs, it is the share of those in which the first takes the second's
        value when it takes that one layer's style from it; nan where no pair differs.
        """
        a, b = self.sample(2 * n, "pairs").chunk(2)
        depth = self.net.depth_of
        with evaluating(self):
            before, other = read(self(a)), read(self(b))
            differ = before != other
            shares = []
            for i in range(depth):
                now = read(self.mixed([b if i == j else a for j in range(depth)]))
                taken = (now == other) & differ
                shares.append(taken.sum(0).cpu().double() / differ.sum(0).cpu())
        return torch.stack(shares)

    @torch.no_grad()
    def direction(self, has, n=2000):
        """Return the direction `(d,)` in which images come to have something: v plus it goes from
        the mean of those that have it not to the mean of those that do.

        `has(images)` says of each image whether it has it, bool `(N,)`; it is asked about `n`. In v
        all directions are equally spread, so that this is Fisher's linear discriminant, and what
        else varies together with it in W does not come along (Shen et al. 2020, InterFaceGAN, take
        a support vector machine's). Raises ValueError where all have it, or none, and for other
        answers.
        """
        v = self.sample(n, "direction")
        with evaluating(self):
            having = torch.cat([has(self(part)).cpu() for part in v.split(500)]).to(v.device)
        if having.dtype != torch.bool or having.shape != (n,):
            raise ValueError(
                f"has(images) returned {having.dtype} {tuple(having.shape)} for {n} images; bool "
                "(N,), whether each has it, is expected"
            )
        if not 0 < having.sum() < n:
            raise ValueError(
                f"{'all' if having.any() else 'none'} of {n} images have it, and a direction is "
                "between those with and those without: ask for something that some have"
            )
        return v[having].mean(0) - v[~having].mean(0)

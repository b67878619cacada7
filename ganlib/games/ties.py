"""Ties of a translation: what a fake must keep of its source. Each returns a `losses.Tie`. A new
one is a function here, and a weight in `translation.Kind`.
"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from ..game.terms import Tie
from ..machine.randomness import generator
from ..nets.compact import Fold


def identity(gan, weight=1.0):
    """|G(b) - b| for images b of the target domain, the mean over all values: G leaves alone what
    is already there. Zhu et al. 2017 (CycleGAN), section 5.2 ("photo generation from paintings").

    `gan` is the `Translator` whose G it is.
    """

    def loss(fakes, sources):
        b = gan.target_now(len(fakes)).to(sources.dtype)
        same = gan.fake(len(b), "identity", noise=b).to(sources.dtype)
        return (same - b).abs().flatten(1).mean(1)

    return Tie(f"identity({weight})", loss, weight)


def semantic(classifier, weight=1.0, gan=None):
    """The cross-entropy of what a `classifier` reads in the fake, for the class that it reads in
    the source. Hoffman et al. 2018 (CyCADA), the semantic consistency loss.

    The classifier, as `train_classifier` makes one, was trained on labels of the source domain: a
    translation with this tie is unpaired, but not unsupervised. One with an attribute `vary`, a
    function of (images, draws), reads fakes that are changed by it, anew in each step of `gan`: so
    no pattern passes that looks like a class in one view alone (Athalye et al. 2018).
    """
    vary = None if gan is None else getattr(classifier, "vary", None)

    def logits(images):
        weight = next(classifier.parameters())
        if weight.device != images.device:
            classifier.to(images.device)
        return classifier.logits(classifier(images.to(weight.dtype)))

    def loss(fakes, sources):
        with torch.no_grad():
            said = logits(sources).argmax(1)
        shown = fakes if vary is None else vary(fakes.float(), draws_of(gan, "semantic"))
        return cross_entropy(logits(shown), said, reduction="none").to(fakes.dtype)

    changed = "" if vary is None else f", {vary.__name__}"
    return Tie(f"semantic({weight}{changed})", loss, weight)


def contrastive(gan, weight=1.0, patches=64, temperature=0.07):
    """PatchNCE: a patch of the fake must resemble the patch of the source at its place more than
    others of the same image. Park et al. 2020 (CUT), equations 3 to 5.

    Patches are squares of 2 x 2 pixels, and the features of G's encoder, at half and at a quarter
    of the size, each through the `Heads` of `gan`, a `Translator` with heads; at most `patches`
    places of each, drawn anew at each step. The mean of two terms: fakes against their sources, and
    G(b) against images b of the target domain, which keeps G from changing what is already there.
    """

    def nce(fakes, sources, stream):
        heads, n = gan.players["heads"].net, len(fakes)
        with gan.autocast():
            with torch.no_grad():
                keys = seen(gan.G, sources)
            queries = seen(gan.G, fakes)
        places = chosen(gan, queries, patches, stream)
        total = 0.0
        for i, (query, key, place) in enumerate(zip(queries, keys, places, strict=True)):
            query, key = (x.flatten(2).mT[:, place].to(fakes.dtype) for x in (query, key))
            with torch.no_grad():
                key = heads(i, key)
            total = total + patch_nce(heads(i, query), key, temperature)
        return total.view(n) / len(queries)

    def loss(fakes, sources):
        b = gan.target_now(len(fakes)).to(sources.dtype)
        same = gan.fake(len(b), "identity", noise=b).to(sources.dtype)
        return (nce(fakes, sources, "patches") + nce(same, b, "patches/identity")) / 2

    return Tie(f"contrastive({weight}, {patches}, {temperature})", loss, weight)


def seen(G, images):
    """Return what PatchNCE compares of images `(N, C, H, W)`: their pixels, each 2x2 square as 4 C
    values, `(N, 4 C, H/2, W/2)`, and what G's encoder makes of them.
    """
    return (Fold()(images), *G.encode(images))


def chosen(gan, features, patches, stream):
    """Return, for features `(N, d, h, w)` of each layer, at most `patches` of its h * w places."""
    draws = draws_of(gan, stream)
    counts = [x.shape[2] * x.shape[3] for x in features]
    return [torch.randperm(n, generator=draws, device=gan.device)[:patches] for n in counts]


def draws_of(gan, stream):
    """Return a generator for this step, the same in all processes unless the step is captured."""
    draws = gan.draws(stream) if gan.capture else None
    return draws or generator(gan.device, gan.seed, gan.step, gan.prefix + stream)


def patch_nce(queries, keys, temperature=0.07):
    """Return the PatchNCE loss of each image, `(N,)`, for features of length 1, `(N, P, d)` each.

    It is the cross-entropy of telling, among the P keys of the same image, the one at the query's
    place; the mean over the places. Park et al. 2020 (CUT), equation 3.
    """
    logits = queries @ keys.mT / temperature  # (N, P, P)
    n, p, _ = logits.shape
    right = torch.arange(p, device=logits.device).repeat(n)
    return cross_entropy(logits.flatten(0, 1), right, reduction="none").view(n, p).mean(1)


class Heads(nn.Module):
    """The small nets of PatchNCE, one for each kind of patch (`seen`), of so many values: they map
    patches `(..., w)` to vectors `(..., d)` of length 1. Park et al. 2020, section 3.
    """

    def __init__(self, widths, d=64):
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Linear(width, d), nn.ReLU(), nn.Linear(d, d)) for width in widths
        )

    def forward(self, layer, features):
        return normalize(self.nets[layer](features), dim=-1)


def joined(ties):
    """Return several ties as one: the sum of their losses, each with its weight. None for none."""
    if len(ties) < 2:
        return ties[0] if ties else None

    def loss(fakes, sources):
        return sum(tie.weight * tie.loss(fakes, sources) for tie in ties)

    return Tie(" + ".join(tie.name for tie in ties), loss)

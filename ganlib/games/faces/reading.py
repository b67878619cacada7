"""`FaceReader`, a net that reads the attributes of pixel faces, and `judge_attributes`, which
measures by it what G draws.
"""

import torch
from torch import nn

from ...data.shipped.faces import ATTRIBUTES, faces
from ...judge.classifiers import Classifier, ready
from ...judge.reading import require_floats
from ...machine.assets import asset
from ..kept import wilson

WEIGHTS = (
    "face-reader.safetensors",
    "ec1ab074994e73f255b58d2debe62d34834c08c460e376b0b650e5bb1fb5d033",
)  # made by tools/train_face_reader.py
VALUES = tuple(value for values in ATTRIBUTES.values() for value in values)


class FaceReader(nn.Module):
    """Reads pixel faces `(N, 3, 16, 16)` in [-1, 1]: 64 features, and the six attributes.

    `evaluate(extractor=reader())` takes it as any extractor. Of 1,000 faces that it was not trained
    on, it reads each attribute right in 99 % or more (benchmarks/LOG.md).
    """

    fit_for = (
        "Fit for the pixel faces that ship with ganlib, 16 x 16 in colour; not for other images."
    )
    fits, name, sha256 = ("faces",), "face reader", "untrained"

    def __init__(self):
        super().__init__()
        self.net = Classifier((3, 16, 16), VALUES)  # its logits are of six questions, not of one
        self.net.name, self.net.fit_for = self.name, self.fit_for

    def forward(self, images):
        return self.net(images)

    def answers(self, images):
        """Return the logits of each attribute's values, a list of six `(N, values)`."""
        sizes = [len(values) for values in ATTRIBUTES.values()]
        return self.net.logits(self.net(images)).split(sizes, 1)

    @torch.no_grad()
    def read(self, images):
        """Return the likeliest attributes of images, int64 `(N, 6)`, as `ATTRIBUTES` has them."""
        require_floats(images, self.name)
        images = images.clamp(-1, 1).to(self.net.logits.weight)
        parts = map(self.answers, images.split(1000))
        return torch.cat([torch.stack([x.argmax(1) for x in part], 1) for part in parts]).cpu()


def reader(device=None):
    """Return the shipped `FaceReader`, in evaluation mode; OSError if its file is corrupt."""
    from safetensors.torch import load

    with torch.device("meta"):  # spends no time on initial weights
        net = FaceReader()
    weights = load(asset(*WEIGHTS))
    net.net.load_state_dict(
        {key: x.float() if x.is_floating_point() else x for key, x in weights.items()}, assign=True
    )
    net.name, net.sha256 = WEIGHTS
    net.net.name = net.name
    return ready(net, device)


class Attributes(dict):
    """What `judge_attributes` measured; it prints as a table."""

    def __str__(self):
        lines = []
        for name, row in self.items():
            shares = "  ".join(
                f"{value} {fake:.0%} ({real:.0%})" for value, (fake, real) in row["shares"].items()
            )
            lines.append(f"{name:>8}  KL {row['kl']:.3f}  {shares}")
            if "asked" in row:
                low, high = row["interval"]
                lines[-1] += f"  as asked {row['asked']:.1%} ({low:.1%} to {high:.1%})"
        return "\n".join(lines)


def judge_attributes(images, asked=None, known=None):
    """Return an `Attributes`: for each attribute the shares of its values among `images (N, 3, 16,
    16)` and, in brackets, among the real faces; and `kl`, the Kullback-Leibler divergence of the
    former from the latter, in nats: 0 where they are the same.

    asked: attributes int64 `(N, 6)` that the images were asked for, -1 where they were not: then
        each has `asked`, the share read as asked, with its Wilson 95 % `interval`.
    known: a `FaceReader`, by default the shipped one.

    Raises ValueError for no images, images that are not finite, and other attributes.
    """
    if not len(images) or not images.isfinite().all():
        raise ValueError(f"{len(images)} images were given; one or more, all finite, are expected")
    if asked is not None and asked.shape != (len(images), len(ATTRIBUTES)):
        raise ValueError(
            f"attributes {tuple(asked.shape)} were given for {len(images)} images; int64 "
            f"({len(images)}, {len(ATTRIBUTES)}) is expected"
        )
    asked = None if asked is None else asked.cpu()
    known = reader() if known is None else known
    drawn, (_, real) = known.read(images), faces()
    judged = Attributes()
    for i, (name, values) in enumerate(ATTRIBUTES.items()):
        p, q = (x[:, i].bincount(minlength=len(values)).double() / len(x) for x in (drawn, real))
        kl = torch.special.xlogy(p, p / q).sum().item()
        shares = zip(p.tolist(), q.tolist(), strict=True)
        judged[name] = {"shares": dict(zip(values, shares, strict=True)), "kl": kl}
        if asked is not None and (told := asked[:, i] >= 0).any():
            right = (drawn[told, i] == asked[told, i]).sum().item()
            n = int(told.sum())
            judged[name] |= {"asked": right / n, "interval": wilson(right, n)}
    return judged

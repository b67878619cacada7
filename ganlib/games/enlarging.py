"""Super-resolution as a game: G enlarges pictures, a tie holds it to the true ones, and D asks that
the result looks real.

ESRGAN's way (Wang et al. 2018): first L1 alone, then, from there, L1 + features + a game with D;
between the two nets lies the trade of fidelity against look (`between`; Blau & Michaeli 2018). The
control plays the second stage's tie without D.
"""

import copy
from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

from .. import nets
from ..data.images import Images
from ..game import losses
from ..game.look import Look, generated
from ..game.player import play
from ..game.schedules import Linear
from ..game.terms import Tie
from ..judge import features
from ..keep.checkpoint import newest
from ..machine.choices import made, one_of, whole
from ..machine.randomness import some_of
from ..nets.fed.enlarging import divided
from ..nets.rebuild import build
from ..run.recipes import Net, Recipe

STAGES = {"l1": 60_000, "content": 30_000, "gan": 30_000}  # and for how many images, by default
RATE = ((0, 10), (1, 1), (5, 1), (10, 25))  # tenths of the images, parts of the highest rate
SHOWN = 8  # columns of a look
UNREAD = (
    "G is held to a true picture by a tie; the doctor's thresholds were set on G's that draw from "
    "noise"
)


@dataclass(frozen=True, kw_only=True)
class Enlarging(Recipe):
    """A `Recipe` whose G enlarges pictures of `data`, an `Images`; `recipe` makes one.

    adversary: False leaves D out: it does not move, is not asked, and G minimises the tie alone.
    """

    data: object = None
    adversary: bool = True

    @property
    def batches(self):
        """How many batches a step takes: those of `Game`, or one where D does not play."""
        return super().batches if self.adversary else 1

    def gan(self, seed=None, start=None, **settings):
        """Return a `GAN` with fresh nets, fed with pictures of `data`. With `start`, a GAN or a
        net of an earlier stage, G begins with its weights.
        """
        gan = super().gan(seed, **{"source": self.data} | settings)
        if start is not None:
            begin(gan, start)
        return gan

    def step(self, gan, batches):
        """Play one step, and return its figures, 0-d tensors: those of `Game`, or G's `tie`."""
        if self.adversary:
            return super().step(gan, batches)
        n = batches.images.shape[1]
        gan.ready(batches.images.shape[2:])

        def part(rows, mark):
            fakes = gan.fake(n, "G", None, rows, mark)
            values = self.tie.loss(fakes.to(gan.dtype), gan.noise_now(n, "G")[rows])
            return gan.at(self.tie.weight) * values.mean(), {"tie": values.detach().mean()}

        figures = play([gan], "G", n, part)
        gan.average(n * gan.world)
        gan.step += 1
        gan.images_seen += n * gan.world
        return figures

    __call__ = step

    def __str__(self):
        """Return the lines of `Recipe`; without D none of those that concern it."""
        hidden = () if self.adversary else ("D", "objective", "n_critic", "penalty")
        lines = super().__str__().splitlines()
        return "\n".join(line for line in lines if line.split()[0] not in hidden)

    def look(self, gan):
        """Return rows of small pictures, of what G makes of them, and of the true ones."""
        return looked(gan)

    def describe(self):
        """Return the settings that a run stores; without D none of those that concern it."""
        settings = super().describe()
        return settings if self.adversary else {"objective": "G alone", "tie": settings["tie"]}

    def reading(self):
        """Return what each row says of this game: also why the doctor has nothing to say."""
        read = super().reading() if self.adversary else {"objective": "G alone"}
        return read | {"unread": UNREAD}


def looked(gan):
    """Return the `Look` of a GAN that enlarges: small pictures, large ones, and the true ones."""
    true = gan.noise(3 * SHOWN if gan.G.shape[1] <= 32 else SHOWN)
    small = interpolate(gan.G.shrink(true), true.shape[2:], mode="nearest")
    rows = [x.unflatten(0, (-1, SHOWN)) for x in (small, gan.sample(noise=true), true)]
    names = ("small", "enlarged", "true") * len(rows[0])
    return Look(generated(torch.stack(rows, 1).flatten(0, 2)), SHOWN, rows=names)


def recipe(
    stage,
    data,
    scale=4,
    images=None,
    extractor=None,
    adversarial=0.1,
    width=64,
    blocks=3,
    objective=losses.relativistic,
):
    """Return the `Enlarging` recipe of a stage: "l1", "content" or "gan".

    stage: "l1": the mean absolute error of pixels alone. "content": that and the error of features
        (`content`), without D: the control. "gan": content and a relativistic game with D.
    data: the large pictures, an `Images`; G shrinks them by `scale` (2, 4 or 8) itself.
    images: the length that the schedules are planned for; 60,000 and 30,000 by default.
    extractor: the net whose features "content" and "gan" compare; see `feature_net`, the default.
    adversarial: the weight of D's part, against 1 of the tie (in the step the tie has 1 /
        `adversarial`, and D's part 1: Adam makes no difference between the two).
    width, blocks: of `EnlargingGenerator`.
    objective: of D and G in "gan": `losses.relativistic_average` is ESRGAN's own.

    Raises ValueError for an unknown stage, for no pictures, and for pictures whose size the scale
    does not divide.
    """
    one_of("stage", stage, list(STAGES))
    if not adversarial > 0:
        raise ValueError(
            f"adversarial={adversarial} was given; a weight above 0 is expected (without D: the "
            'stage "content")'
        )
    if len(data) == 0:
        raise ValueError(f"{data.name!r} has no images; some are expected, to be enlarged")
    divided(data.shape, scale)
    nets.scale(data.shape, at_least=1)  # D's sizes
    images = STAGES[stage] if images is None else whole("images", images, 10)
    made("objective", objective, losses.Objective, "losses.hinge")
    tie, highest = losses.near(), 1e-3
    if stage != "l1":
        highest = 2e-4  # G goes on from where L1 ended: a higher rate shakes that off
        extractor = feature_net(data) if extractor is None else extractor
        tie = content(extractor, weight=1.0 if stage == "content" else 1 / adversarial)
    settings = {"shape": data.shape, "scale": scale, "width": width, "blocks": blocks}
    return Enlarging(
        name=f"enlarge-{stage}",
        source="Wang et al. 2018 (ESRGAN), on small nets; the game of `small`",
        G=Net(nets.EnlargingGenerator, **settings),
        D=Net(nets.CompactDiscriminator, shape=data.shape),
        objective=objective,
        penalty=losses.approximate_r1_r2(0.3, 0.05),
        tie=tie,
        batch_size=32,
        lr=Linear(tuple((images * tenths // 10, highest / part) for tenths, part in RATE)),
        betas=(0.9 if stage == "l1" else 0.0, 0.99),  # "content" as "gan": D is all that differs
        ema=Linear(((0, 0), (150_000, 15_000))),
        images=images,
        data=data,
        adversary=stage == "gan",
    )


def content(extractor, weight=1.0, of_features=0.1):
    """Return a tie: |fake - true| of pixels, and `of_features` times that of features, both means.

    extractor: a `Classifier`, whose maps before the mean over places are compared, or any module
        from images to features. It is the VGG of Wang et al. 2018 (ESRGAN), equation 3, in small.
    """
    copies = {}  # by the device and type of the images

    def maps(images):
        place = images.device, images.dtype
        if place not in copies:
            module = isinstance(extractor, torch.nn.Module)
            net = copy.deepcopy(extractor).to(*place) if module else extractor
            copies[place] = getattr(net, "layers", net)
        return copies[place](images)

    name = f"{getattr(extractor, 'name', type(extractor).__name__)}"
    sha256 = getattr(extractor, "sha256", None) or "of its own"

    def loss(fakes, sources):
        with torch.no_grad():
            want = maps(sources)
        far = (maps(fakes) - want).abs().flatten(1).mean(1)
        return (fakes - sources).abs().flatten(1).mean(1) + of_features * far

    return Tie(f"content({name} {sha256[:12]}, {weight:g}, {of_features:g})", loss, weight)


def feature_net(data, seed=0, epochs=None):
    """Return a net whose features `content` compares, frozen, on the device of `data`.

    For digits it is the digit classifier that ships with ganlib. For other images a `Classifier` is
    trained to say by how many quarters an image was turned (Gidaris et al. 2018, "Unsupervised
    representation learning by predicting image rotations"): no labels and no download are needed.
    By default it sees 12,000 images, of 1,500 at most: 40 s of one core at 64 x 64 pixels.
    """
    device = data.images.device
    if data.known in features.DigitClassifier.fits:
        return features.digit_classifier(device)
    few = data.images[some_of(len(data), 1500).to(device)]
    epochs = max(2, round(3000 / len(few))) if epochs is None else epochs
    turned = torch.cat([few.rot90(k, (2, 3)) for k in range(4)])
    names = tuple(f"{90 * k} degrees" for k in range(4))
    labels = torch.arange(4, device=device).repeat_interleave(len(few))
    set_of = Images(turned, labels, names, f"{data.name}, turned")
    return features.train_classifier(set_of, epochs=epochs, seed=seed, device=device)


def net_of(enlarger):
    """Return the net of a GAN (its average, if it has one), or of a run's folder, or the net
    itself, where it is an `EnlargingGenerator`; else raise ValueError.
    """
    net = enlarger
    if isinstance(enlarger, str) or hasattr(enlarger, "__fspath__"):
        net = _of_folder(enlarger)
    elif hasattr(enlarger, "players"):
        net = enlarger.net()
    net = getattr(net, "_orig_mod", net)  # of torch.compile
    if not isinstance(net, nets.EnlargingGenerator):
        raise ValueError(
            f"{enlarger!r:.200} does not enlarge: its G is a {type(net).__name__}, an "
            "EnlargingGenerator is expected (python -m ganlib train --game enlarge trains one)"
        )
    return net


def _of_folder(folder):
    """Return G of the run in a folder, its average if it has one."""
    content = newest(folder)
    settings = content["config"].get("G")
    if not isinstance(settings, dict) or settings.get("net") != "EnlargingGenerator":
        named = settings.get("net") if isinstance(settings, dict) else "a net of another kind"
        raise ValueError(
            f"the run in {folder} does not enlarge: its G is {named}, an EnlargingGenerator is "
            "expected (python -m ganlib train --game enlarge trains one)"
        )
    weights = content["state"].get("G_ema", content["state"]["G"])
    net = build(settings, "G", weights)
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)


def begin(gan, start):
    """Give G of `gan`, and its average, the weights of `start`, a GAN or net of an earlier stage.

    Raises ValueError where they are nets of other settings.
    """
    _alike(gan.G, net := net_of(start))
    for one in gan.players["G"].nets():
        one.load_state_dict(net.state_dict())


def between(first, second, alpha):
    """Return the G whose weights are (1 - alpha) * those of `first` + alpha * those of `second`:
    network interpolation, Wang et al. 2018, section 3.4.

    first, second: GANs, nets, or folders of runs, the second trained from the first. `alpha` is 0
    to 1. Raises ValueError for another alpha, and nets of other settings.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha={alpha} was given; 0 (the first net) to 1 (the second) is expected"
        )
    first, second = net_of(first), net_of(second)
    _alike(first, second)
    net = copy.deepcopy(first).eval().requires_grad_(False)
    for weight, other in zip(net.parameters(), second.parameters(), strict=True):
        weight.data.lerp_(other.data.to(weight), alpha)
    return net


def _alike(one, other):
    if net_of(one).settings != other.settings:
        raise ValueError(
            f"nets of other settings were given, {one.settings} and {other.settings}; the second "
            "stage begins with the net of the first"
        )

"""The checks of the game from noise to images: recipes, resuming, captured steps, averages,
evaluation, augmentation, export, memory and precision. Each is a function of the device that
raises where something is wrong, and may return a remark.
"""

import gc
import io
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ...data import augment
from ...game.source import Noise
from ...judge.evaluation import evaluate
from ...judge.figures import FIGURES
from ...keep.checkpoint import resume
from ...keep.export import export, load_generator
from ...machine.device import choice, setup
from ...run.recipes import RECIPES, UNCONDITIONAL, recipe
from .playing import SIZE, STEPS, Fault, NotTried, capturing, expect, flat, on, play, some_images

GREY, COLOUR = (1, 28, 28), (3, 16, 16)
COLOURED = ("pictures", "style")  # recipes for images in colour
EVALUATED = 128  # fakes; features of as many reals give the floors
NEAR = 1e-3  # how far figures of two devices may lie apart, as a share
COUNTED = {"precision", "recall", "density", "coverage", "copied"}  # 2 % more: counts of neighbours
DRAWN = 1e-4  # how far images of one G may lie apart, of -1 .. 1


def made(name, classes=0, steps=STEPS, **changes):
    """Return (a run with fresh weights, always the same; small data; the game) of a recipe that is
    planned for so few steps that each part of its plan is played.
    """
    torch.manual_seed(0)
    shape = COLOUR if name in COLOURED else GREY
    game = replace(recipe(name, shape, classes, max(10, steps * SIZE)), **changes)
    return game.gan(0), some_images(shape), game


def each_recipe(name, device):
    """Play the recipe, with and without classes where it takes them."""
    kinds = [0] * (name != "acgan") + [10] * (name not in UNCONDITIONAL)
    for classes in kinds:
        play(*made(name, classes), device)
    return " and ".join(f"{classes or 'no'} classes" for classes in kinds)


@contextmanager
def exact():
    """A context in which a device repeats itself, as far as it can, and rounds nothing to TF32."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.use_deterministic_algorithms(before)


def resuming(name, device, half=3, capture=False):
    """Check that a run that was saved and resumed equals one that was not, bit for bit."""
    if capture and device.type != "cuda":
        raise NotTried("CUDA graphs need CUDA")
    parts, go_on = partial(made, name, steps=2 * half), partial(play, device=device)
    go_on = partial(go_on, capture=capture)
    with exact(), TemporaryDirectory() as folder:
        whole = flat(go_on(*parts(), steps=2 * half))
        go_on(*parts(), steps=half, folder=folder)
        run, data, game = parts()
        expect(resume(folder, run.to(device)) and run.step == half, "nothing was resumed")
        resumed = flat(go_on(run, data, game, steps=2 * half))
        if not torch.equal(whole, resumed):
            again = torch.equal(whole, flat(go_on(*parts(), steps=2 * half)))
            why = "while two runs at once agree" if again else "and so do two runs at once"
            raise Fault(f"{torch.dist(whole, resumed):.2g} apart after resuming, {why}")


def averaging(device, half_life=20.0):
    """Check that G_ema equals the average of G's weights, computed in float64 on the CPU."""
    run, data, game = made("small", ema=half_life)
    by_hand, follow, keep = weights(run.G), run.average, 0.5 ** (SIZE / half_life)

    def average(n):
        for name, x in weights(run.G).items():
            by_hand[name] = keep * by_hand[name] + (1 - keep) * x
        follow(n)

    run.average = average
    play(run, data, game, device)
    for name, x in weights(run.G_ema).items():
        gap = (x - by_hand[name]).abs().max().item()
        expect(gap < 1e-6, f"{name} of G_ema is {gap:.2g} from the average by hand")
    for name, x in run.G_ema.named_buffers():
        expect(torch.equal(x, run.G.get_buffer(name)), f"{name} of G_ema is not that of G")


def weights(net):
    """Return the weights of a net by name, in float64 on the CPU."""
    return {name: x.detach().double().cpu() for name, x in net.named_parameters()}


class SameNoise(Noise):
    """Noise that is drawn on the CPU, and so is the same on every device."""

    def draw(self, n, draws, like):
        draws = torch.Generator().manual_seed(draws.initial_seed())
        return super().draw(n, draws, like.detach().cpu()).to(like.device)


def evaluating(device):
    """Check that figures of a run on the device are those of the same run on the CPU."""
    game, data = made("classic")[2], some_images(GREY, 2 * EVALUATED)
    run, twin = (game.gan(0, source=SameNoise(game.G().latent_dim)) for _ in range(2))
    play(run, data, game, device)
    with torch.no_grad():
        for weight in run.G.parameters():
            weight *= 3  # so that its images differ
    twin.load_state_dict(run.state_dict())
    on_device, on_cpu = (
        evaluate(gan, data.to(gan.device), EVALUATED, "pixels", quiet=True) for gan in (run, twin)
    )
    names = [name for name in FIGURES if name in on_cpu]
    expect(names and names == [name for name in FIGURES if name in on_device], "other figures")
    for name in names:
        allowed = NEAR * abs(on_cpu[name]) + 0.02 * (name in COUNTED)
        wrong = f"{name} is {on_device[name]:.5g}, on the CPU {on_cpu[name]:.5g}"
        expect(abs(on_device[name] - on_cpu[name]) <= allowed, wrong)
    return f"{len(names)} figures within {NEAR:.1%} of the CPU's"


def augmenting(name, device):
    """Play steps with the augmentation `name`, and change images by it."""
    change = replace(augment.named(name), ramp=100)  # so that p moves
    game, data = replace(recipe("small", COLOUR, images=80), augment=change), some_images(COLOUR)
    play(game.gan(0), data, game, device, steps=2 * STEPS)
    images, draws = data.floats(slice(None), device), torch.Generator(device).manual_seed(0)
    changed = change.transform(images, torch.ones((), device=device), draws)
    expect(on(changed, device) and changed.isfinite().all(), "images are lost")
    expect(not torch.equal(changed, images), "images stay as they were")


def exporting(name, device):
    """Check that the exported generator draws what the run draws, on the same device."""
    classes = 0 if name in UNCONDITIONAL else 10
    with TemporaryDirectory() as folder:
        run_folder, to = Path(folder, "run"), Path(folder, "shared")
        run = play(*made(name, classes), device, folder=run_folder)
        export(run_folder, to)
        G = load_generator(to).to(device)
    asked = [run.noise(SIZE)] + [torch.arange(SIZE, device=device)] * bool(classes)
    with exact():
        gap = (G(*asked) - run.sample(SIZE, *asked[1:], noise=asked[0])).abs().max().item()
    expect(gap <= DRAWN, f"its images are {gap:.2g} apart from the run's, {DRAWN} at most expected")
    return f"images {gap:.1g} apart"


def short_of_memory(device):
    """Check that a batch too large for the memory is played in parts, or refused in a sentence."""
    if device.type != "cuda":
        raise NotTried("only the memory of CUDA can be limited")
    return with_little(device, torch.cuda)


def with_little(device, cuda, images=20_000):
    """Play such a batch, then play it with 60 % of the memory that it took."""
    data, used = some_images(GREY, images), []
    gc.collect()  # what earlier checks have left would be freed in the middle of this one
    card = cuda.current_device() if device.index is None else device.index
    for size in (SIZE, images):  # the first starts CUDA's libraries
        cuda.empty_cache()
        cuda.reset_peak_memory_stats(card)
        used += [cuda.memory_reserved(card)]
        run, _, game = made("classic")
        play(run, data, game, device, steps=1, size=size)
    start, most = used[1], cuda.max_memory_reserved(card)
    run, _, game = made("classic")  # the former one's memory is free now
    # a step that does not fit as a graph is played eagerly, and then in parts
    cuda.empty_cache()
    room, said = start + 0.6 * (most - start), f"{most / 1e6:,.0f} MB wanted, "
    said += f"{room / 1e6:,.0f} allowed: "
    cuda.set_per_process_memory_fraction(room / cuda.get_device_properties(card).total_memory, card)
    try:
        play(run, data, game, device, steps=2, size=images, capture=True)
    except torch.OutOfMemoryError as error:
        expect("cannot be split: " in str(error), said + str(error).splitlines()[0])
        return said + "refused in a sentence"
    finally:
        cuda.set_per_process_memory_fraction(1.0, card)
    expect(run.parts > 1, said + "it was played as a whole")
    return f"{said}played in {run.parts} parts"


def in_bf16(device):
    """Check that steps under autocast are finite, and that `precision="fast"` says its choice."""
    for name in ("classic", "small"):
        _, data, game = made(name)
        run = play(game.gan(0, precision="bf16"), data, game, device)
        kinds = {weight.dtype for weight in (*run.G.parameters(), *run.D.parameters())}
        expect(kinds == {torch.float32}, f"weights of {name} became {kinds}")
    before, said = dict(vars(choice)), io.StringIO()
    try:
        with redirect_stdout(said):
            setup(0, device, choice.threads, "fast")
        chosen = choice.precision
    finally:
        for key in ("precision", "device", "threads", "usual"):
            setattr(choice, key, before[key])
    expect(chosen in said.getvalue(), f"fast is {chosen}, and setup says {said.getvalue()!r}")
    return f'"fast" is {chosen} here'


def recipe_for(name):
    """Return a function of a number of steps: the parts for `capturing`, of the recipe `name`."""
    return lambda steps: made(name, 10 * (name == "acgan"), steps)


CHANGES = [name for name, x in vars(augment).items() if isinstance(x, augment.Augmentation)]
BRIEF = ("classic", "small", "style")  # recipes of a quick test
CHECKS = [  # name, function of the device, whether a quick test has it
    *((f"recipe {name}", partial(each_recipe, name), name in BRIEF) for name in RECIPES),
    *((f"resume {name}", partial(resuming, name), name == "classic") for name in BRIEF),
    ("resume captured steps", partial(resuming, "classic", capture=True), True),
    *(
        (f"captured step {name}", partial(capturing, recipe_for(name)), name in BRIEF)
        for name in RECIPES
    ),
    ("average of G", averaging, True),
    ("evaluate", evaluating, True),
    *((f"augment {name}", partial(augmenting, name), name == "ada") for name in CHANGES),
    *((f"export {name}", partial(exporting, name), False) for name in ("classic", "style")),
    ("bf16", in_bf16, True),
    ("out of memory", short_of_memory, True),
]

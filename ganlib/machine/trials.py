"""Short trials of this machine, by which `setup` chooses precision and threads."""

import time
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import linear


def best_of(work, seconds):
    """Return the seconds that `work()` takes: the least of the calls that fit in `seconds`."""
    return min(_times(work, seconds))


def mean_of(work, seconds):
    """Return the seconds that `work()` takes on average over the calls that fit in `seconds`."""
    times = _times(work, seconds)
    return sum(times) / len(times)


def _times(work, seconds):
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def medium_is_float32():
    """Whether "medium" is as exact as float32 here; with bf16 matrix units it may round to bf16."""
    draws = torch.Generator().manual_seed(0)  # 200 images, and the weights of the classic D
    x, weight = (torch.randn(n, 784, generator=draws) for n in (200, 1024))
    exact, errors = linear(x.double(), weight.double()), {}
    before = torch.get_float32_matmul_precision()
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        errors[precision] = (linear(x, weight) - exact).abs().max().item()
    torch.set_float32_matmul_precision(before)
    return errors["medium"] <= 5 * errors["highest"]


def step_seconds(precision, seconds=0.4, batch=100, part=best_of):
    """Return the least seconds of a training step with nets as large as the classic recipe's."""
    sizes = (100, 128, 256, 512, 1024, 784), (784, 1024, 512, 256, 1)
    with torch.random.fork_rng(devices=[]):  # `setup` has seeded it
        G, D = (nn.Sequential(*(nn.Linear(*pair) for pair in pairwise(net))) for net in sizes)
        noise, real = torch.randn(2, batch, 100), torch.randn(batch, 784)
    adams = [torch.optim.Adam(net.parameters(), fused=True) for net in (G, D)]

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            losses = D(G(noise[0])).mean(), D(torch.cat([real, G(noise[1]).detach()])).mean()
        for adam, loss in zip(adams, losses, strict=True):
            adam.zero_grad()
            loss.backward()
            adam.step()

    step()  # the first one allocates
    return part(step, seconds)


def threads_to_use(precision, seconds=0.25):
    """Return (threads to use, message): fewer than torch's choice only where steps are faster now.
    Threads split each operation and wait for the last: one that must share its core holds up all.
    A single product does not show that: a step has a hundred operations to wait for.
    """
    usual, times = torch.get_num_threads(), {}
    for threads in sorted({usual, usual - 1, usual // 2, 1} - {0}, reverse=True):
        torch.set_num_threads(threads)
        times[threads] = step_seconds(precision, seconds, part=mean_of)
    torch.set_num_threads(usual)
    best = min(times, key=times.get)
    if times[usual] < 1.1 * times[best]:
        return usual, ""
    return best, (
        f"Other processes keep cores busy: a step takes {1e3 * times[usual]:,.0f} ms with {usual} "
        f"threads now and {1e3 * times[best]:,.0f} with {best}, so {best} it is "
        f"(threads={usual} says otherwise)."
    )

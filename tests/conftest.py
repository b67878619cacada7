import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

os.environ["OMP_NUM_THREADS"] = (
    "1"  # the nets of the tests are small, and the machines shared; processes inherit it
)
torch.set_num_threads(1)

import ganlib  # noqa: E402
from ganlib import nets  # noqa: E402
from ganlib.machine.device import choice  # noqa: E402


@pytest.fixture(autouse=True)
def machine_as_it_was():
    """Undo what a test lets `setup` choose for the process: an example of a guide asks for bf16."""
    threads, matmul = torch.get_num_threads(), torch.get_float32_matmul_precision()
    chosen = choice.precision, choice.device, choice.threads, choice.usual
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(matmul)
    choice.precision, choice.device, choice.threads, choice.usual = chosen


@pytest.fixture(scope="session")
def digits():
    return ganlib.load("digits")


@pytest.fixture
def small():
    """Make a small GAN of the classic kind: fast to train, with dropout, always from one start."""

    def make(seed=0, dtype=None, **settings):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            G, D = nets.MLPGenerator(8, widths=(16, 32)), nets.MLPDiscriminator(widths=(32, 16))
        return ganlib.GAN(G, D, seed=seed, **settings).to(dtype=dtype)

    return make


def same(a, b):
    """Whether two states (dicts and lists of tensors and plain values) are equal, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture
def browser():
    """Debian's chromium, driven by Playwright; skips where one is missing or does not start."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with playwright.sync_playwright() as p:
        try:
            started = p.chromium.launch(executable_path=chromium, args=flags)
        except playwright.Error as error:
            pytest.skip(f"{chromium} does not start here: {str(error)[:300]}")
        yield started
        started.close()

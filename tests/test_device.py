import pytest
import torch

import ganlib
from ganlib.machine import device, trials


def test_setup_seeds_and_says_one_line(capsys):
    numbers = []
    for _ in range(2):
        ganlib.setup(seed=3, device="cpu")
        numbers.append(torch.randn(3))
    assert torch.equal(*numbers) and torch.initial_seed() == 3
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("CPU: ") and " threads, float32. A million images" in lines[0]


@pytest.mark.parametrize(
    "seconds, said", [(0.0001, "0.0"), (0.012, "2.6"), (0.06, "13"), (0.6, "130")]
)
def test_setup_says_how_long_a_million_images_take(monkeypatch, capsys, seconds, said):
    """10,000 steps of the trial's length, and 30 % for the rest of the loop."""
    monkeypatch.setattr(device, "step_seconds", lambda precision: seconds)
    ganlib.setup(device="cpu")
    assert f"classic recipe take about {said} min." in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_trial_of_a_step_leaves_no_trace(precision):
    """It takes time, and draws nothing from torch's own generator, which `setup` has seeded."""
    torch.manual_seed(3)
    expected = torch.randn(3)
    torch.manual_seed(3)
    assert 0 < trials.step_seconds(precision, seconds=0.01, batch=4) < 60
    assert torch.equal(torch.randn(3), expected)


def test_the_gan_takes_seed_and_precision_from_setup():
    ganlib.setup(seed=42, device="cpu", precision="bf16")
    gan = ganlib.GAN(ganlib.nets.MLPGenerator(), ganlib.nets.MLPDiscriminator())
    assert (gan.seed, gan.precision) == (42, "bf16")
    ganlib.setup(seed=42, device="cpu")
    assert ganlib.GAN(gan.G, gan.D).precision == "float32"


def test_threads_are_set():
    ganlib.setup(device="cpu", threads=1)
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    "flags, precision",
    [("fpu sse avx512_bf16", "bf16"), ("fpu amx_bf16", "bf16"), ("fpu avx512f", "float32")],
)
def test_fast_is_bf16_only_where_the_cpu_has_it(monkeypatch, flags, precision):
    monkeypatch.setattr(device, "_cpuinfo", lambda field: flags)
    ganlib.setup(device="cpu", precision="fast")
    assert device.choice.precision == precision


@pytest.mark.parametrize(
    "name, message", [("gpu", "cuda, mps or cpu is expected"), ("meta", "'meta' .* offers")]
)
def test_a_device_that_is_not_there(name, message):
    with pytest.raises(ValueError, match=message):
        ganlib.setup(device=name)


def test_an_unknown_precision():
    with pytest.raises(ValueError, match='precision=\'fp16\'.*"float32", "bf16" or "fast"'):
        ganlib.setup(device="cpu", precision="fp16")


@pytest.mark.parametrize("rounding, chosen", [(False, "medium"), (True, "highest")])
def test_medium_is_used_only_where_it_keeps_float32s_accuracy(monkeypatch, rounding, chosen):
    """On a machine whose "medium" rounds to bf16 the trial notices."""
    real = trials.linear

    def linear(x, weight):
        if (
            rounding
            and x.dtype == torch.float32
            and torch.get_float32_matmul_precision() == "medium"
        ):
            return real(x.bfloat16(), weight.bfloat16()).float()
        return real(x.double(), weight.double()).to(x.dtype)

    monkeypatch.setattr(trials, "linear", linear)
    ganlib.setup(device="cpu")
    assert torch.get_float32_matmul_precision() == chosen


def test_colab_without_a_gpu_says_how_to_switch(monkeypatch, capsys):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260819")
    ganlib.setup(device="cpu")
    assert "Runtime > Change runtime type > T4 GPU" in capsys.readouterr().out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_a_gpu_is_picked_and_named(capsys):
    assert ganlib.setup().type == "cuda"
    assert torch.cuda.get_device_name() in capsys.readouterr().out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_a_run_on_a_gpu_is_reproducible_and_resumes(small, digits, tmp_path):
    runs = []
    for until in ([12], [5, 12]):
        gan = small().to("cuda")
        for end in until:
            for _ in ganlib.train(gan, digits.to("cuda"), until=end, batch_size=10):
                pass
            ganlib.save(tmp_path, gan)
            gan = small().to("cuda")
            assert ganlib.resume(tmp_path, gan)
        runs.append([p.cpu() for p in gan.G.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize(
    "times, chosen",
    [
        ({4: 10, 3: 11, 2: 16, 1: 30}, 4),
        ({4: 37, 3: 36, 2: 16, 1: 30}, 2),
        ({4: 10, 3: 9.5, 2: 16, 1: 30}, 4),
    ],
)
def test_fewer_threads_only_where_steps_are_clearly_faster(monkeypatch, capsys, times, chosen):
    def step(precision, seconds, part):
        assert part([].clear, 0.0) >= 0 and part is trials.mean_of
        return times[torch.get_num_threads()] / 1e3

    monkeypatch.setattr(trials, "step_seconds", step)
    torch.set_num_threads(4)
    threads, why = trials.threads_to_use("float32")
    assert threads == chosen and torch.get_num_threads() == 4
    said = "a step takes 37 ms with 4 threads now and 16 with 2, so 2 it is"
    assert why == "" if chosen == 4 else said in why


def test_setup_says_and_sets_the_threads_that_it_chose(monkeypatch, capsys):
    monkeypatch.setattr(device, "threads_to_use", lambda precision: (1, "others are busy"))
    torch.set_num_threads(2)
    ganlib.setup(device="cpu")
    assert torch.get_num_threads() == 1 and capsys.readouterr().out.startswith(
        "others are busy\nCPU: "
    )
    ganlib.setup(device="cpu", threads=2)
    assert torch.get_num_threads() == 2 and "others" not in capsys.readouterr().out

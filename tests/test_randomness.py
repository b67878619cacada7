import torch

from ganlib.machine.randomness import generator


def draw(*key):
    return torch.randint(2**62, (4,), generator=generator("cpu", *key)).tolist()


def test_the_same_key_gives_the_same_numbers():
    assert draw(1, 2, "noise") == draw(1, 2, "noise", 0)


def test_each_part_of_the_key_matters():
    keys = [
        (1, 2, "noise", 0),
        (2, 2, "noise", 0),
        (1, 3, "noise", 0),
        (1, 2, "mask", 0),
        (1, 2, "noise", 1),
        (2, 1, "noise", 0),
    ]
    assert len({tuple(draw(*key)) for key in keys}) == len(keys)


def test_keys_that_agree_in_their_low_32_bits_differ():
    """A CPU generator reads 32 bits of its seed: packed fields would collide here."""
    assert draw(1, 2, "noise") != draw(1 + 2**32, 2, "noise")
    assert draw(1, 2, "noise") != draw(1, 2 + 2**32, "noise")


def test_ten_thousand_steps_collide_nowhere():
    assert len({draw(0, step, "noise")[0] for step in range(10_000)}) == 10_000


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    draw(1, 2, "noise")
    assert torch.equal(before, torch.get_rng_state())

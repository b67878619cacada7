"""Judge as D does: which pictures are dealt, who is right, and what the board shows."""

import io

import pytest
import torch
from PIL import Image

import ganlib
from ganlib import lab, nets

SHAPE = (1, 8, 8)


class Dark(torch.nn.Module):
    """A D that takes bright images for real."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images, labels=None):
        return self.weight * images.mean((1, 2, 3))


class Night(torch.nn.Module):
    """A G that draws dark images."""

    latent_dim, shape = 2, SHAPE

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, z, labels=None):
        return (z[:, :1, None, None] * self.weight - 0.9).expand(-1, *SHAPE)


@pytest.fixture
def board():
    data = ganlib.Images(torch.randint(100, 256, (40, *SHAPE), dtype=torch.uint8), name="bright")
    return lab.BeD(ganlib.GAN(Night(), Dark(), seed=0), data, n=16)


def test_half_are_fakes_and_a_right_d_is_right(board):
    means = board.images.mean((1, 2, 3))
    assert board.fakes == [mean < -0.5 for mean in means.tolist()] and sum(board.fakes) == 8
    assert board.score(board.fakes) == (16, 16)
    assert board.score([not fake for fake in board.fakes]) == (0, 16)
    assert board.score([False] * 16) == (8, 16)
    before = board.images
    board.deal(1)
    assert not torch.equal(before, board.images) and sum(board.fakes) == 8
    board.deal(0)
    assert torch.equal(before, board.images)  # the seed decides


def test_the_answer_frames_reals_green_and_fakes_red(board):
    plain = Image.open(io.BytesIO(board.picture().data))
    answer = Image.open(io.BytesIO(board.picture(answer=True).data)).convert("RGB")
    assert plain.size == answer.size and "generated" in plain.text["Comment"]
    wide, high = answer.width // 8, answer.height // 2
    for i, fake in enumerate(board.fakes):
        pixel = answer.getpixel((i % 8 * wide + 5, i // 8 * high + high // 2))
        assert (pixel[0] > pixel[1]) == fake, i


def test_the_buttons_mark_compare_and_deal(board):
    picture, grid, actions, line = board.panel().children
    for button, fake in zip(grid.children, board.fakes, strict=True):
        button.value = fake
    actions.children[0].click()
    assert line.value == "right: you 16 of 16, D 16 of 16"
    assert picture.value == board.picture(answer=True).data
    actions.children[1].click()
    assert board.seed == 1 and not any(button.value for button in grid.children)
    assert picture.value == board.picture().data


def test_a_conditional_d_is_told_the_labels():
    digits = ganlib.load("digits")
    gan = ganlib.GAN(
        nets.CompactGenerator(classes=10), nets.CompactDiscriminator(classes=10), seed=0
    )
    board = lab.BeD(gan, digits, n=6)
    assert len(board.of_D) == 6 and sum(board.of_D) == 3


def test_a_d_of_others_is_called_in_its_own_way(board):
    """One that takes no labels, ends in a sigmoid, and returns a column."""

    class Column(Dark):
        def forward(self, images):
            return super().forward(images).sigmoid()[:, None]

    other = lab.BeD(ganlib.GAN(Night(), Column(), seed=0), board.data, n=16)
    assert other.score(other.fakes) == (16, 16)


def test_an_odd_number_is_refused(board):
    with pytest.raises(ValueError, match="n=3 was given; an even number"):
        lab.BeD(board.gan, board.data, n=3)
    with pytest.raises(ValueError, match="2 marks were given"):
        board.score([True, False])

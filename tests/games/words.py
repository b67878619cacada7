"""A G asked in words, int64 (N, L): "dark top left" is a picture with a dark upper left quarter."""

import torch
from torch import nn

import ganlib
from ganlib import losses

WORDS = ("dark", "bright", "top", "bottom", "left", "right")  # their numbers are 0 to 5


class Reader(nn.Module):
    """Sentences (N, L) to vectors (N, 16): an embedding of the words, then a GRU's last state."""

    def __init__(self, words=6):
        super().__init__()
        self.words, self.gru = nn.Embedding(words, 8), nn.GRU(8, 16, batch_first=True)

    def forward(self, sentences):
        return self.gru(self.words(sentences))[1][0]


class Writer(nn.Module):
    """Noise (N, 4) and sentences to images (N, 1, 8, 8)."""

    latent_dim = 4

    def __init__(self, words):
        super().__init__()
        self.read, self.draw = Reader(words), nn.Sequential(nn.Linear(20, 64), nn.Tanh())

    def forward(self, z, labels):
        return self.draw(torch.cat([z, self.read(labels)], 1)).unflatten(1, (1, 8, 8))


class Judge(nn.Module):
    """Images and sentences to logits (N,)."""

    def __init__(self):
        super().__init__()
        self.read, self.see = Reader(), nn.Sequential(nn.Flatten(), nn.Linear(64, 16))

    def forward(self, images, labels):
        return (self.see(images) * self.read(labels)).sum(1)


def make(seed=0, words=6):
    torch.manual_seed(0)
    sentences = torch.randint(2, (400, 3)) + torch.tensor([0, 2, 4])
    images = torch.full((400, 1, 8, 8), 128, dtype=torch.uint8)
    for i, (tone, row, side) in enumerate(sentences.tolist()):
        images[i, 0, 4 * (row - 2) : 4 * (row - 1), 4 * (side - 4) : 4 * (side - 3)] = 255 * tone
    gan = ganlib.GAN(Writer(words), Judge(), lr=1e-3, betas=(0.0, 0.9), seed=seed)
    return gan, ganlib.Images(images, sentences, name="quarters"), ganlib.Game(losses.relativistic)


def misfit():
    """G knows three words, the sentences have six."""
    return make(words=3)

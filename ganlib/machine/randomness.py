"""Randomness as a function of (seed, step, stream, rank): a run can be cut anywhere and goes on bit for bit."""

import hashlib

import torch


def generator(device, seed, step, stream, rank=0):
    """Return a `torch.Generator` on `device` whose draws depend on these four values and on nothing else.

    `stream` names the use ("noise", "dropout", ...), so that two uses in one step never share their numbers.
    The values are hashed because a CPU generator reads only the low 32 bits of its seed: packing the fields into
    one integer would give different steps the same noise.
    """
    return torch.Generator(device=device).manual_seed(seed_of(seed, step, stream, rank))


def some_of(n, count=None):
    """Return the places of `count` of n things (by default of all), in a random order that is the same at each call.

    For a look at a data set, which may be sorted by class.
    """
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))[:count]


def seed_of(seed, step, stream, rank=0):
    """The seed of that generator: a hash of the four, in -2^63 .. 2^63 - 1."""
    digest = hashlib.blake2b(f"{seed}/{step}/{stream}/{rank}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)

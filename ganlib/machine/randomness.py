"""Random numbers from (seed, step, stream, rank) alone: a run cut anywhere resumes bit for bit."""

import hashlib
import operator

import torch


def whole_seed(seed):
    """Return a seed as an int, also one of numpy; raise ValueError for what is no 64-bit number."""
    whole = hasattr(seed, "__index__") and not isinstance(seed, bool)
    if not whole or not -(2**63) <= operator.index(seed) < 2**64:
        raise ValueError(f"seed={seed!r} was given; a 64-bit integer is expected")
    return operator.index(seed)


def generator(device, seed, step, stream, rank=0):
    """Return a `torch.Generator` on `device` whose draws depend on these four values alone.

    `stream` names the use ("noise", "dropout", ...), so that two uses in a step never share
    numbers. The values are hashed because a CPU generator reads only the low 32 bits of its seed:
    packed into one integer they would give different steps the same noise.
    """
    return torch.Generator(device=device).manual_seed(seed_of(seed, step, stream, rank))


def some_of(n, count=None):
    """Return `count` of n places (by default all), in a random order that is the same at each call:
    for a look at a data set, which may be sorted by class.
    """
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))[:count]


def seed_of(seed, step, stream, rank=0):
    """Return the seed of `generator`: a hash of the four values, in -2^63 .. 2^63 - 1."""
    digest = hashlib.blake2b(f"{seed}/{step}/{stream}/{rank}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)

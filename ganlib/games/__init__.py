"""Games whose G is fed pictures: super-resolution."""

from . import enlarging, fidelity, photographs, upscaling  # noqa: F401

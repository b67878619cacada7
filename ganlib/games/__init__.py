"""Games whose G is fed pictures: super-resolution."""

"""Five games of other kinds: `make(seed)` returns (run, data, game), `misfit()` what is refused."""

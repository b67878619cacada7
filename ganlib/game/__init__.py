"""The game: two players, their moves, objectives and what joins them."""

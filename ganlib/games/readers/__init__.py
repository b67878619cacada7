"""Classifiers that a tie asks about pictures of a look that they were not taught."""

"""Classifiers for the semantic tie: they read pictures of another look than they were taught."""

"""Nets that are fed with more than noise: pictures, words."""

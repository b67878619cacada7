"""Nets that take or draw more than noise and pictures: words, clips, pictures as input, times."""

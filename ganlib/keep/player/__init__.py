"""Prepare a G for the player of an exported page: its operations (operations.py), and G's of clips,
which draw frame by frame (clips.py).
"""

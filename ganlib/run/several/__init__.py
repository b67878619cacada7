"""What a run of several processes needs: a check that all train alike, and batch normalisation over
the images of all.
"""

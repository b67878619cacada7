"""The exercises of the notebooks, and `check`, which says whether an answer is right. A new
notebook has a file in tasks/.
"""

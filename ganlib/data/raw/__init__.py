"""Read what a user gives `load` beside image files: tables of labels, items of data sets, raw
labels.
"""

"""The self-test: does all that ganlib does work on this machine's device?"""

"""The self-test: small checks of whether ganlib works on this machine's device. A new check is a
function and a row of `CHECKS` in checks.py or games.py.
"""

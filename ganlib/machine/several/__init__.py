"""Connect the processes of one run (joining.py), and notice that one is lost (watching.py)."""

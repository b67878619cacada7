"""The exercises of each notebook, in a file of its name: a dict `TASKS`; see task.py."""

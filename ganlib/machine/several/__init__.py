"""Several processes of one run: how they find each other, and who notices that one is lost."""

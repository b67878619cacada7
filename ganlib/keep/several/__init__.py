"""What is saved of a run in several processes when one of them is lost."""

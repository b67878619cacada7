"""Sharing a generator by way of the Hugging Face Hub: fetched by its name, shown by a Space."""

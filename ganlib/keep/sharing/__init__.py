"""Share a generator through the Hugging Face Hub: fetch it by its name, show it in a Space."""

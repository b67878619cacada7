"""What the commands of the games have in common."""

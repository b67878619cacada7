"""Files that say who holds a place, and the locks of the system on them."""

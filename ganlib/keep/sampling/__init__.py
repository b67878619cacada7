"""Drawing as many images as one likes: in chunks, into files, and on where it was cut off."""

"""Draw any number of images: in chunks, into files; a call that was interrupted goes on."""

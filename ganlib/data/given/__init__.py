"""What was given: tables beside images, and things that are no data set."""

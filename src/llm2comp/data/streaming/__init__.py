"""Training on text while it is read: shares, buffers, their place in the source, and what is held out of it."""

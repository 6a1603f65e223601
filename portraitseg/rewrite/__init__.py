"""The graph of a net, read and rewritten into the one that ships."""

"""Applications of a head (Sec. 7): each a function over `Head`."""

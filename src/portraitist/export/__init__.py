"""A head in the formats of other programs, and pictures of it."""

"""Finding the face and its landmarks (paper Sec. 4.2, first step)."""

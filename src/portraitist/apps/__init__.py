"""Applications of a head (Sec. 7)."""

"""Photo to canonical texture (paper Sec. 4.2)."""

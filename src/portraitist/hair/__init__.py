"""Hair (paper Sec. 7.2)."""

"""Characters of other programs: read as they stand, and given another face (Sec. 7.3)."""

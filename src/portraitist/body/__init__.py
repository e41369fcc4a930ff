"""The body below a head: its skeleton, its shape, how it stands and moves (Sec. 7.3)."""

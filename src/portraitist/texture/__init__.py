"""Texture style (paper Sec. 5): rendering, features, losses, multi-view optimization."""

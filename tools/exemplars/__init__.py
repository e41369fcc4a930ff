"""How the style exemplars are drawn: sitters (shape), scene (buffers, light), anatomy and dress, then each medium."""

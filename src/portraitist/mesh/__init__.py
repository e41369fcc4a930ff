"""Triangle meshes: operators, handles, attached parts, subdivision."""

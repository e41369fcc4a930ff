"""Cameras, rasterization, texture look-ups, UV layouts."""

"""The world outside: pictures, landmark files, meshes, result folders."""

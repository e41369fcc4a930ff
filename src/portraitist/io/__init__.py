"""What is read and written besides meshes: pictures, landmark files, head files, output folders."""

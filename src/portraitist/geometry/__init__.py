"""Shape style (paper Sec. 4): landmark translation and deformation."""

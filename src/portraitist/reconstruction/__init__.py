"""Photo to head (paper Sec. 4.2): landmarks, head model, fitting, unwrap."""

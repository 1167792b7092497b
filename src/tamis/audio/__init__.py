"""Find the sound that a sentence describes, and the second at which it happens (CLSR, arXiv 2309.08839)."""

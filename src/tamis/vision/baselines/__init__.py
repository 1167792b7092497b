"""What the methods are compared with: chance, geometry, nothing, everything, and published peers.

Each peer's docstring says what it follows, its authors' code or only the paper's description, and what is our choice.
"""

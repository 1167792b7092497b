"""What the methods are compared with: chance, geometry, nothing, everything, and published peers.

A peer "in the style of" a paper was written from the paper's description, for the same interface and budget.
"""

"""tamis: keep what matters.

Four domains, each usable alone, each under a budget that you set:
`tamis.vision` keeps the image tokens that matter to a vision-language model.
"""

__version__ = "0.1.0"

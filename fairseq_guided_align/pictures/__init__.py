"""Pictures: attention matrices, training curves, the page to look through alignments.

No torch: a picture takes numbers and text. No global settings of matplotlib are changed.
"""

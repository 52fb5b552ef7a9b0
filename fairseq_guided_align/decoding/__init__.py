"""Alignments out of fairseq's search, and the forms in which they are printed.

No training, no files.
"""

"""Checkpoints as files: which of them are whole, their average, fingerprints of their dictionaries.

No model is built here and no training runs.
"""

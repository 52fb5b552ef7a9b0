"""Trained models that align text, out of checkpoints or as CTranslate2 folders.

Nothing here trains or prints.
"""

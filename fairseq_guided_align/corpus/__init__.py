"""From text and link files to a data folder that fairseq trains on.

No models: what needs a trained one is in `aligning`.
"""

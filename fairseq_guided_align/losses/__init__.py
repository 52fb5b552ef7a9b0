"""The arithmetic of training: tensors in, tensors out.

No options, no logs, no fairseq classes but the model that is asked for its output.
"""

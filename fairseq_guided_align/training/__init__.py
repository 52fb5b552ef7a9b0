"""What fairseq registers: the criterion, the tasks, their options, data sets and logs.

Arithmetic belongs to `losses`, reading attention to `attention`. Criterion and tasks do not import each other: the
batch that `losses/batching.py` describes is their contract.
"""

"""Files as bytes and lines, outputs that appear whole or not at all, worker processes, progress.

Nothing here knows what a line means: no links, no subwords, neither torch nor fairseq.
"""

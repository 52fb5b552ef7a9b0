"""What a link is: its text and binary forms, the words it counts, symmetrising, coverage, the aligner.

Neither torch nor fairseq, no subwords, no models.
"""

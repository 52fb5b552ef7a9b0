"""Tags of the source text carried to its translation along word links; needs neither torch nor fairseq."""

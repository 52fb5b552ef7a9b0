"""Tags of the source text carried to its translation along word links; needs neither torch nor fairseq."""

from fairseq_guided_align.markup.carrying import Transferred, transfer

__all__ = ["Transferred", "transfer"]

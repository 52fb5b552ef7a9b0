"""Words and the subword pieces that spell them.

Links between pieces are made here out of links between words; whole corpora are worked on in `corpus`.
"""

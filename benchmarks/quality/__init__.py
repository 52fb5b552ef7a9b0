"""Translation and alignment of small models, trained with many settings of the guidance."""

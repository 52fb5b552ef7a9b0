"""Links against gold links: AER, precision, recall, and how sure they are.

Numbers only: nothing is printed here, and no model is needed.
"""

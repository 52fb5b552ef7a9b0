"""A decoder's attention over the source: which heads are guided, reading them, links read off them.

No loss, no search, no files.
"""

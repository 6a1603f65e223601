"""Models for others to use: what their cards and the folder's README say of them is measured, all in one run, and written by nobody.

`measure` makes the figures, `folder` keeps them in the cards, `readme` and `plots` show what the cards say.
"""

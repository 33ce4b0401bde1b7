"""Programs: sequences of operations as data, run on a reference model and on a backend at once.

A program never depends on the backend. Its operations name tasks, tokens and times relative to the *model* ("the latest
token of t0", "one millisecond before the next deadline"), so that any part of a program is a program too: that is what
the minimizer needs, and what makes a saved program run on every backend.
"""

"""A task queue, results, events and schedules as a state machine over a log; it knows nothing of files.

The log is a list of entries, each of them a list of effects: "this task has these fields now", never "claim five
tasks". Whoever folds the effects of all entries in order has the same view, so that any medium with a conditional
append ("append this as entry n, if nobody else did") keeps a store: see `omniq_file.medium`.
"""

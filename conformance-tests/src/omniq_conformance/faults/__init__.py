"""Faults on purpose: processes that die at every point, disks that fail and fill up, networks that cut."""

"""Deliberately broken variants of the backends: the test of the suite itself.

A mutant replaces one function or one statement of a real backend while it is applied. Each has to be killed by the
cases that are there to find it, in the `pr` profile and with every seed; a mutant that survives shows what the suite
does not see. docs/explanation/conformance.md says more.
"""

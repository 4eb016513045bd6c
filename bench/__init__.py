"""Measures the jobs on this machine, beside the job one would write first; `make bench` runs it."""

"""The work of the jobs, when they are due, and how their runs are claimed and ended."""

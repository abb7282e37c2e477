"""The work of the four jobs, when they are due, and how their runs are claimed and ended."""

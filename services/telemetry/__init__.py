"""What the system says about its own work: logs, the ids in them, counts of calls."""

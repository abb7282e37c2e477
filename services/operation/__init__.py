"""What keeps the system in sight: figures for monitoring, alerts, whether each job is on time."""

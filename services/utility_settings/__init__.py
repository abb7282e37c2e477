"""What a utility sets itself: kept in the database, where the environment does not say it."""

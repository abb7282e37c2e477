"""The database: its service, the transports below it, the embedded server and the migrations."""

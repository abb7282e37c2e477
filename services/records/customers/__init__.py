"""What customers see and do on the page of their own: records."""

"""What the page of a customer's own asks and changes."""

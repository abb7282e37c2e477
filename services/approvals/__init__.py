"""Four eyes: what one person asks for is done when another approves it."""

"""The round: a small page that can be installed on a phone and works without a connection."""

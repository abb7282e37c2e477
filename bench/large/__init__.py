"""What a large utility is made of, beside bench/large_utility.py."""

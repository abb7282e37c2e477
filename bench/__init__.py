"""Measurements, printed with what they were run beside; none of them is a test."""

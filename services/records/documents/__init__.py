"""Records of what is printed beside bills: credit notes, and taxes by rate."""

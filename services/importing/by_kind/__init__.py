"""What the rows of each further kind of import must be: the grid, intervals, places, balances."""

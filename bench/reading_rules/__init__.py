"""How many wrong readings the rules find, and how many good ones they doubt."""

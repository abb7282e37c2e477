"""Reports: what each answers, how its rows are made, and as which files they go out."""

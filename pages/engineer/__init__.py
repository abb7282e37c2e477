"""Pages of the field engineers; administrators may use them too."""

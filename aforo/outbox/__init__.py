"""Facts written with the data they tell of, and handed on after the commit."""

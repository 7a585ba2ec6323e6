"""How the admin writes days and instants."""

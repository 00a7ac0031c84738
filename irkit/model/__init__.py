"""Values only: what irkit knows, plans, does and remembers. Nothing here reads or writes the outside."""

"""Games on a real cluster that is not production: what it must not be, what is made there, and that nothing of it stays."""

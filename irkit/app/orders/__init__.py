"""Orders: taken in, decided upon, carried out. Whatever the door they came through, and whatever process works on them."""

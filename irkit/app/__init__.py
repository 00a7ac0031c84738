"""Use cases, one module each: what a command or a listener asks for, in terms of ports. No adapter, no terminal."""

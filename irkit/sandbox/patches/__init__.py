"""Every kind of patch that a client sends: pure functions from an object and a patch to a new object."""

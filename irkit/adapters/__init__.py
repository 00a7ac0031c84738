"""One third-party client a file; each implements a port."""

"""`make bench`: speed, memory and requests, each measured beside what people would use otherwise."""

"""irkit killed, interrupted, cut off from the API server or out of disk, always from outside: what was done stays known, and
`resume` or `lift` ends where an undisturbed run would have."""

"""What a post-mortem can know by itself: facts of the journal, the bags and the settings, in sentences."""

"""The page that follows studies while they are searched, served on this machine."""

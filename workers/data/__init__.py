"""Images as resident uint8 arrays: where they come from, how they are split, and what is known of them beforehand."""

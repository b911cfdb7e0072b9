"""What a comparison looks like to a person, made from its compare.json alone."""

"""The command line, one file a verb; torch is imported inside the verbs that need it."""

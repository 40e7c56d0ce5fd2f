"""The ground: the data model, errors, checks, files, processes."""

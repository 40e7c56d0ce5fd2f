"""Numbers of clustering, on plain arrays."""

"""Query rewriters, one file per backend."""

"""The built-in encoders, one package per backend; chosen by name through ``plugins.resolve``."""

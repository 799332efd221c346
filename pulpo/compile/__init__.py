"""Compiling: the manifest and its graph become flows in which everything is decided."""

"""Declaring: what users write in their code, and how it becomes manifest data."""

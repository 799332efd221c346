"""The manifest: what the file may hold, reading it with positions, writing it canonically, and its JSON Schema."""

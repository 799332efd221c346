"""Running flows: the inline engine, and the history that every run leaves in the store."""

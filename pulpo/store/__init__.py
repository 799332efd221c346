"""Where records live: the interface `Store`, and the embedded store on SQLite."""

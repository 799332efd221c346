"""The web UI: pages over the API of a project, made here and shown by a browser; it knows nothing that the API does not say."""

"""The graph that the manifest describes: hierarchy, data flow, segments, selection, pictures."""

"""The pages that explain the codes of diagnostics, one Markdown file a code; problems as data, without what is secret."""

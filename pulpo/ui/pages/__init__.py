"""The pages: each module has `ROUTES`; what a page needs it asks the API for."""

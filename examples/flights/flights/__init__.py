"""A year of departures from New York, and how punctual they were."""

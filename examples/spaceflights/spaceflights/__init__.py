"""What a shuttle to the moon should cost: Kedro's tutorial as a Pulpo project."""

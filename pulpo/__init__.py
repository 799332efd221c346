"""Pulpo: typed functions become a reviewed manifest, and the manifest becomes pipelines and the services around them."""

"""The ten families: settings and network of each, whole, in one file."""
